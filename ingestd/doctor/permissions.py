"""Files and folders: whether the daemon's user may use them, and nobody else those that are secret."""

from __future__ import annotations

import grp
import os
import pwd
import re
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ingestd.config import Config
from ingestd.doctor.finding import Account, Finding, Running, fail, ok, warn

#: The user of the unit that `make install-service` installs.
SERVICE_USER: Final = "ingestd"
SERVICE_FOLDER: Final = Path("/etc/ingestd")

_SECRET: Final = re.compile(r"""^\s*(token|secret|password)\s*=\s*["'](?!\$\{|["'])""", re.MULTILINE)


def account_of(path: Path | None, running: Running | None) -> Account:
    """Who runs the daemon: the one that does; the service's user for its configuration; else who asks."""
    if running is not None:
        return _account(running.uid)
    if path is not None and SERVICE_FOLDER in path.absolute().parents:
        try:
            return _account(pwd.getpwnam(SERVICE_USER).pw_uid)
        except KeyError:
            pass  # not installed as a service, then
    return _account(os.geteuid())


def _account(uid: int) -> Account:
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return Account(f"user {uid}", uid, frozenset())
    groups = {group.gr_gid for group in grp.getgrall() if entry.pw_name in group.gr_mem} | {entry.pw_gid}
    return Account(entry.pw_name, uid, frozenset(groups))


def examine(config: Config, path: Path | None, account: Account) -> Iterator[Finding]:
    """All of this module. `path`: the configuration's file."""
    server, tcp, http, auth = config.server, config.listen.tcp, config.http, config.auth
    for key, folder in (("server.data_dir", server.data_dir), ("server.state_dir", server.state_dir)):
        yield writable(key, Path(folder), account)
    files = {
        "listen.tcp.key": (tcp.key if not tcp.plaintext else "", "the private key"),
        "http.key": (http.key, "the private key"),
        "listen.tcp.cert": (tcp.cert if not tcp.plaintext else "", ""),
        "http.cert": (http.cert, ""),
        "auth.tokens_file": (auth.tokens_file, ""),
        "http.tokens_file": (http.tokens_file, ""),
        "listen.tcp.client_ca": (tcp.client_ca, ""),
        "the configuration": (str(path or ""), "the secrets in" if _has_secrets(path) else ""),
    }
    files |= {f"the CA of notifier {notifier.name}": (notifier.ca, "") for notifier in config.notifier}
    for key, (name, secret) in files.items():
        if name and not _missing(Path(name)):
            yield readable(key, Path(name), account, secret)
    for notifier in config.notifier:
        if notifier.command:
            yield runnable(f"command of notifier {notifier.name}", notifier.command[0], account)


def _has_secrets(path: Path | None) -> bool:
    """Whether the file itself holds one, rather than the name of a variable that does."""
    try:
        return path is not None and _SECRET.search(path.read_text()) is not None
    except (OSError, UnicodeDecodeError):
        return False


def _missing(path: Path) -> bool:
    """Said already by who reads the configuration."""
    try:
        return not path.exists()
    except PermissionError:
        return False


def writable(key: str, folder: Path, account: Account) -> Finding:
    """A folder that the daemon writes to, or makes."""
    check = f"permissions of {key}"
    folder = folder.absolute()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        may, mode = account.may(there, 7), there.stat().st_mode
    except PermissionError:
        return _hidden(check, folder)
    if not may:
        made = "" if there == folder else f", so it cannot make {folder}"
        return fail(
            check,
            f"{account.name} may not write in {there}{made}",
            f"install -d -o {account.name} -m 0750 {folder}",
        )
    if there != folder:
        return ok(check, f"{folder} is not there yet; {account.name} can make it")
    if mode & stat.S_IWOTH:
        return fail(check, f"everybody may write in {folder}", f"chmod 0750 {folder}")
    if mode & stat.S_IROTH:
        return warn(check, f"everybody on this machine may read {folder}", f"chmod 0750 {folder}")
    return ok(check, f"{folder} belongs to those who need it")


def readable(key: str, path: Path, account: Account, secret: str = "") -> Finding:
    """A file that the daemon reads; `secret`, in words, what of it is not for everybody."""
    check = f"permissions of {key}"
    try:
        may, mode = account.may(path, 4), path.stat().st_mode
    except PermissionError:
        return _hidden(check, path)
    if not may:
        return fail(
            check,
            f"{account.name} may not read {path}",
            f"chgrp {account.name} {path} && chmod g+r {path}, and g+x on the folders above it",
        )
    if secret and mode & (stat.S_IROTH | stat.S_IWOTH):
        return fail(check, f"everybody on this machine may read {secret} {path}", f"chmod 0640 {path}")
    if mode & stat.S_IWOTH:
        return fail(check, f"everybody on this machine may change {path}", f"chmod o-w {path}")
    return ok(check, f"{account.name} may read {path}")


def runnable(check: str, program: str, account: Account) -> Finding:
    """A program that the daemon runs."""
    found = shutil.which(program)
    if found is None:
        return fail(check, f"there is no program {program}", "install it, or give its whole path")
    try:
        may = account.may(Path(found).resolve(), 5)
    except PermissionError:
        return _hidden(check, Path(found))
    if not may:
        return fail(
            check,
            f"{account.name} may not run {found}",
            f"chmod go+rx {found}, and g+x on the folders above it",
        )
    return ok(check, f"{account.name} may run {found}")


def _hidden(check: str, path: Path) -> Finding:
    return warn(check, f"you may not look at {path}", "run this as root, or as the daemon's user")
