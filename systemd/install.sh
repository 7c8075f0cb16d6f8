#!/bin/sh
# Installs ingestd as a systemd service, and takes it away again. Called by `make install-service` and
# `make uninstall-service`; may be run again at any time: an upgrade is that, and `systemctl reload ingestd` after it.
#
#   PREFIX   where the program goes (/usr/local): PREFIX/lib/ingestd is a virtual environment of its own
#   DESTDIR  put in front of every path, to make a package; then no user is made and nothing is started
#   PYTHON   the interpreter, 3.11 or later, one that the service may read: not below /root or /home
set -eu
umask 022 # the program is for the service's user to read, whatever root's own files are
PREFIX=${PREFIX:-/usr/local}
DESTDIR=${DESTDIR:-}
PYTHON=${PYTHON:-python3}
here=$(cd "$(dirname "$0")" && pwd)
source=$(dirname "$here")

venv=$PREFIX/lib/ingestd
documents=$PREFIX/share/doc/ingestd
case $PREFIX in
  /usr | /usr/local) units=$PREFIX/lib/systemd/system sysusers=$PREFIX/lib/sysusers.d ;;
  *) units=/etc/systemd/system sysusers=/etc/sysusers.d ;; # where systemd looks
esac
config=/etc/ingestd

say() { echo "install-service: $*"; }
die() { echo "install-service: $*" >&2; exit 1; }
systemd_runs() { [ -z "$DESTDIR" ] && [ -d /run/systemd/system ]; }

interpreter() { # its real path, in $python
  candidates=$PYTHON
  [ "$PYTHON" != python3 ] || candidates='python3 /usr/bin/python3' # the first may be a person's own
  for python in $candidates; do
    python=$("$python" -c 'import os, sys; print(os.path.realpath(sys._base_executable))' 2>/dev/null) || continue
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || continue
    case $python in /root/* | /home/* | /tmp/*) continue ;; esac
    return 0
  done
  die "$PYTHON is no Python 3.11 or later that a service may read (not below /root, /home or /tmp);
  install python3 and python3-venv, or name another: make install-service PYTHON=/usr/bin/python3.12"
}

install_program() {
  interpreter
  "$python" -c 'import ensurepip, venv' 2>/dev/null ||
    die "$python has no venv; run: apt-get install $("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
  target=$DESTDIR$venv
  # One made by an interpreter that is gone, or of another version, is of no use; nothing in it is anybody's data.
  if [ -e "$target/bin/python" ] &&
    [ "$("$target/bin/python" -c 'import sys; print(sys.version)' 2>&1)" != "$("$python" -c 'import sys; print(sys.version)')" ]; then
    say "$target is of another Python; making it anew"
    rm -rf "$target"
  fi
  [ -e "$target/bin/python" ] || "$python" -m venv "$target"
  # Built from a copy: a build leaves files behind, and would find those of the one before.
  copy=$(mktemp -d)
  trap 'rm -rf "$copy"' EXIT
  (cd "$source" && cp -R ingestd formats tools setup.cfg setup.py pyproject.toml README.md LICENSE "$copy")
  "$target/bin/python" -m pip install --quiet --disable-pip-version-check --no-warn-script-location "$copy"
  if [ -n "$DESTDIR" ]; then # scripts name their interpreter by its whole path
    for script in "$target"/bin/*; do
      [ -h "$script" ] || sed -i "s|$target|$venv|g" "$script"
    done
  fi
  mkdir -p "$DESTDIR$PREFIX/bin"
  for command in ingestd loadgen; do ln -sf "$venv/bin/$command" "$DESTDIR$PREFIX/bin/$command"; done
  say "program in $target, commands in $DESTDIR$PREFIX/bin"
}

install_units() {
  mkdir -p "$DESTDIR$units" "$DESTDIR$sysusers" "$DESTDIR$documents"
  for unit in ingestd.service ingestd.socket; do
    sed "s|/usr/local|$PREFIX|g" "$here/$unit" >"$DESTDIR$units/$unit"
  done
  cp "$here/sysusers.conf" "$DESTDIR$sysusers/ingestd.conf"
  cp -R "$source"/docs/*.md "$source/conf" "$DESTDIR$documents"
  reload=$DESTDIR$units/ingestd.service.d/notify-reload.conf
  if [ "$(systemctl --version 2>/dev/null | sed -n '1s/[^0-9]*\([0-9]*\).*/\1/p')" -ge 253 ] 2>/dev/null; then
    mkdir -p "$(dirname "$reload")"
    cp "$here/notify-reload.conf" "$reload"
  else
    rm -f "$reload"
  fi
  say "units in $DESTDIR$units"
}

install_for_people() { # manual pages and completions, made by the program that was just installed
  "$DESTDIR$venv/bin/python" -m ingestd.share "$DESTDIR$PREFIX/share"
  say "manual pages and completions in $DESTDIR$PREFIX/share"
}

make_user() {
  if command -v systemd-sysusers >/dev/null; then
    systemd-sysusers "$sysusers/ingestd.conf"
  elif ! getent passwd ingestd >/dev/null; then
    useradd --system --user-group --home-dir /var/lib/ingestd --no-create-home --shell /usr/sbin/nologin ingestd
  fi
}

install_config() { # what is there is kept
  target=$DESTDIR$config
  [ -d "$target" ] || install -d -m 0750 "$target"
  if [ -e "$target/ingestd.toml" ]; then
    say "$target/ingestd.toml: kept"
  else
    sed -e 's|^data_dir = "data"|data_dir = "/var/log/ingestd"|' -e 's|^state_dir = "state"|state_dir = "/var/lib/ingestd"|' \
      -e "s|^\([a-z]* = \"\)certs/|\1$config/certs/|" "$source/conf/ingestd.toml" >"$target/ingestd.toml"
    say "$target/ingestd.toml: made"
  fi
  [ -z "$DESTDIR" ] || return 0
  if [ ! -e $config/certs/server.crt ]; then
    "$venv/bin/ingestd" certs $config/certs --host "$(hostname -f 2>/dev/null || hostname)"
    # The service reads what it shows to clients. The key that signs certificates stays with root.
    chgrp ingestd $config/certs/server.key
    chmod 0640 $config/certs/server.key
  fi
  chgrp ingestd $config $config/ingestd.toml
  chmod 0750 $config
  chmod 0640 $config/ingestd.toml
}

install_service() {
  [ -n "$DESTDIR" ] || [ "$(id -u)" = 0 ] || die "run it as root: sudo make install-service"
  install_program
  install_units
  install_for_people
  [ -n "$DESTDIR" ] || make_user
  install_config
  if systemd_runs; then
    systemctl daemon-reload
    if systemctl is-active --quiet ingestd.service; then
      say "the daemon runs on with the version before; take this one up with: systemctl reload ingestd"
    else
      say "look at $config/ingestd.toml, then: systemctl enable --now ingestd.service"
    fi
  elif [ -z "$DESTDIR" ]; then
    say "systemd does not run here; nothing was started"
  fi
}

uninstall_service() {
  [ -n "$DESTDIR" ] || [ "$(id -u)" = 0 ] || die "run it as root: sudo make uninstall-service"
  if systemd_runs; then
    systemctl disable --now --quiet ingestd.socket ingestd.service 2>/dev/null || true
  fi
  rm -rf "$DESTDIR$venv" "$DESTDIR$units/ingestd.service.d/notify-reload.conf" "$DESTDIR$documents"
  rm -f "$DESTDIR$units/ingestd.service" "$DESTDIR$units/ingestd.socket" "$DESTDIR$sysusers/ingestd.conf"
  rmdir "$DESTDIR$units/ingestd.service.d" 2>/dev/null || true
  share=$DESTDIR$PREFIX/share
  rm -f "$share"/man/man1/ingestd.1 "$share"/man/man1/ingestd-*.1 "$share"/man/man1/loadgen.1 \
    "$share"/man/man1/loadgen-*.1 "$share"/man/man5/ingestd.toml.5
  for command in ingestd loadgen; do
    rm -f "$share/bash-completion/completions/$command" "$share/zsh/site-functions/_$command" \
      "$share/fish/vendor_completions.d/$command.fish"
    link=$DESTDIR$PREFIX/bin/$command
    [ "$(readlink "$link" 2>/dev/null)" != "$venv/bin/$command" ] || rm "$link"
  done
  if systemd_runs; then systemctl daemon-reload; fi
  say "removed; kept are the records in /var/log/ingestd, the state in /var/lib/ingestd, $config and the user ingestd"
}

case ${1:-} in
  install) install_service ;;
  uninstall) uninstall_service ;;
  *) die "called as: $0 install|uninstall" ;;
esac
