"""The schemas of the formats that have one, and the modules that protoc generates from them."""
