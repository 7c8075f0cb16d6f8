"""`make install-service` and `make uninstall-service`: what they make, what they keep, and an upgrade under load."""

from __future__ import annotations

from typing import Final

from tests.daemon import wait_for
from tests.systemd.box import Box
from tests.systemd.conftest import PIP, PYTHON, SOURCES, install
from tests.systemd.service import CERTIFICATES, CONFIG, Service


def listing(box: Box, *paths: str) -> str:
    """Every file below these, with mode, owner and size; what a second installation writes anew keeps all three."""
    return box.run("find", *paths, "-not", "-name", "*.pyc", "-printf", "%m %u:%g %s %p\n")


def test_where_notify_reload_is_unknown_it_is_not_used(installed: Box) -> None:
    version = int(installed.run("systemctl", "--version").split()[1])
    drop_in = "/usr/local/lib/systemd/system/ingestd.service.d/notify-reload.conf"
    assert installed.path(drop_in).exists() == (version >= 253)


def test_installing_again_changes_nothing_that_was_there(installed: Box) -> None:
    installed.run("sed", "-i", "s/^workers = 0/workers = 1/", CONFIG)
    places = (
        *("/etc/ingestd", "/etc/passwd", "/etc/group", "/usr/local/bin", "/usr/local/share"),
        *("/usr/local/lib/systemd", "/usr/local/lib/sysusers.d"),
    )
    before = listing(installed, *places)
    edited = installed.run("cat", CONFIG, f"{CERTIFICATES}/ca.crt")
    said = install(installed)
    assert f"{CONFIG}: kept" in said
    assert listing(installed, *places) == before
    assert installed.run("cat", CONFIG, f"{CERTIFICATES}/ca.crt") == edited
    installed.run("sed", "-i", "s/^workers = 1/workers = 0/", CONFIG)


#: What of the sources an installation reads.
NEEDED: Final = (
    *("Makefile", "setup.cfg", "setup.py", "pyproject.toml", "README.md", "LICENSE"),
    *("ingestd", "formats", "tools", "conf", "docs", "systemd"),
)


def test_an_upgrade_is_to_install_again_and_reload(service: Service) -> None:
    service.systemctl("start")
    pid = service.number("MainPID")
    box = service.box
    sources = box.run("mktemp", "-d").strip()
    box.run("cp", "-a", *(f"{SOURCES}/{name}" for name in NEEDED), "-t", sources)
    box.run("sed", "-i", 's/^__version__ = .*/__version__ = "99.0.0"/', f"{sources}/ingestd/__init__.py")
    with service.connect() as lasting:
        lasting.sendall(b'{"message":"before"}\n')
        said = install(box, sources)
        assert "systemctl reload ingestd" in said
        service.systemctl("reload")
        wait_for(lambda: service.stats()["version"] == "99.0.0", "the new version")
        lasting.sendall(b'{"message":"after"}\n')
        service.wait_written(2)
    assert service.number("MainPID") == pid
    box.run("rm", "-rf", sources)


def test_uninstalling_keeps_what_belongs_to_people(service: Service) -> None:
    service.systemctl("start")
    service.send("kept")
    service.wait_written(1)
    box = service.box
    box.run("cp", "-a", "/usr/local", "/root/local")
    said = box.run("make", "-C", SOURCES, "uninstall-service")
    assert "kept are the records in /var/log/ingestd" in said
    assert "not-found" in box.run("systemctl", "show", "--property=LoadState", "ingestd.service")
    left = listing(box, "/usr/local", "/etc/systemd")
    assert "ingestd" not in left
    assert service.messages() == ["kept"]
    box.run("test", "-e", f"{CERTIFICATES}/server.key", "-a", "-e", CONFIG)
    assert "ingestd" in box.run("getent", "passwd", "ingestd")
    box.run("cp", "-a", "/root/local/.", "/usr/local")  # as an installation would, in a fraction of its time
    box.run("systemctl", "daemon-reload")
    service.systemctl("start")
    service.systemctl("stop")
    assert service.messages() == ["kept"]


def test_a_package_is_made_under_destdir(installed: Box) -> None:
    arguments = ("install-service", "DESTDIR=/root/package", "PREFIX=/usr", f"PYTHON={PYTHON}/bin/python3")
    # As on a machine whose systemd knows Type=notify-reload.
    installed.put("/root/newer/systemctl", "#!/bin/sh\necho 'systemd 255 (255.4-1)'\n", "0755")
    path = "/root/newer:/usr/local/bin:/usr/sbin:/usr/bin"
    careful = ("sh", "-c", 'umask 077 && exec "$@"', "sh")
    installed.run(*careful, "make", "-C", SOURCES, *arguments, PATH=path, **PIP)
    program = "/root/package/usr/lib/ingestd"
    assert not installed.run("find", program, "-not", "-type", "l", "-not", "-perm", "-004")
    drop_in = installed.run(
        "cat", "/root/package/usr/lib/systemd/system/ingestd.service.d/notify-reload.conf"
    )
    assert "Type=notify-reload" in drop_in
    unit = installed.run("cat", "/root/package/usr/lib/systemd/system/ingestd.service")
    assert "ExecStart=/usr/lib/ingestd/bin/ingestd run -c /etc/ingestd/ingestd.toml" in unit
    script = installed.run("cat", "/root/package/usr/lib/ingestd/bin/ingestd")
    assert script.startswith("#!/usr/lib/ingestd/bin/python")
    assert "/var/log/ingestd" in installed.run("cat", "/root/package/etc/ingestd/ingestd.toml")
    assert (
        installed.run("readlink", "/root/package/usr/bin/ingestd").strip() == "/usr/lib/ingestd/bin/ingestd"
    )
    share = "/root/package/usr/share"
    assert "ingestd.toml(5)" in installed.run("cat", f"{share}/man/man1/ingestd-tail.1").replace(r"\fR", "")
    for file in (
        "bash-completion/completions/ingestd",
        "zsh/site-functions/_loadgen",
        "man/man5/ingestd.toml.5",
    ):
        installed.run("test", "-s", f"{share}/{file}")
    installed.run("make", "-C", SOURCES, "uninstall-service", "DESTDIR=/root/package", "PREFIX=/usr")
    assert "ingestd" not in installed.run("find", "/root/package/usr")


def test_an_interpreter_that_is_not_there_is_refused(box: Box) -> None:
    said = box.run("make", "-C", SOURCES, "install-service", "PYTHON=/nowhere/python3", check=False)
    assert "/nowhere/python3 is no Python 3.11" in said
    assert "make install-service PYTHON=" in said
