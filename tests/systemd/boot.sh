#!/bin/bash
# Boots a real systemd in the private namespaces that box.py has made; nothing of the machine can be written from there.
#
#   boot.sh HOST_NAMESPACE LAYER [SHOWN:AT …]     as PID 1 of a pid namespace; replaces itself by systemd-nspawn
#
# The root of the box is a tmpfs, its /usr an overlay without an upper layer, LAYER (Debian packages, unpacked) above the
# machine's own. A bind mount would not do: remounted read-only, it changes the machine's own superblock. The folders
# SHOWN are overlays too, at AT. systemd-nspawn adds an identity user namespace, in which root has no power over
# anything outside, a network of its own, and a /dev with a handful of nodes.
set -euo pipefail
host_namespace=$1 layer=$2
shift 2

die() { echo "boot.sh: $*" >&2; exit 1; }
[ "$(readlink /proc/self/ns/mnt)" != "$host_namespace" ] || die "this is still the mount namespace of the machine"
[ $$ = 1 ] || die "this is not PID 1 of a pid namespace"
[ "$(findmnt -rno PROPAGATION | sort -u)" = private ] || die "a mount would show on the machine"

top=/mnt root=/mnt/root etc=/mnt/root/etc
mount -t tmpfs -o mode=755,size=1g,nosuid,nodev box $top
mkdir -p $root $top/empty
cp -L /etc/os-release $top/os-release

overlay() { # overlay TARGET LOWER…: the folders of LOWER that are there, the first on top
  local target=$1 lower=$top/empty folder
  shift
  for folder in "$@"; do [ ! -d "$folder" ] || lower+=":$folder"; done
  mkdir -p "$target"
  mount -t overlay -o "ro,lowerdir=$lower" box "$target"
}
overlay $root/usr "$layer/usr" /usr
overlay $root/usr/bin "$layer/bin" "$layer/usr/bin" /usr/bin
overlay $root/usr/lib "$layer/lib" "$layer/usr/lib" /usr/lib
mount -t tmpfs -o mode=755,size=1g box $root/usr/local # what is installed by hand goes there
for pair in "$@"; do overlay "$root${pair#*:}" "${pair%%:*}"; done

cd $root
mkdir -p etc/systemd/system etc/systemd/journald.conf.d var/{lib,log,cache,tmp,spool} root home srv opt mnt tmp run proc sys dev
chmod 1777 tmp var/tmp
chmod 700 root
ln -s ../run var/run
for folder in bin sbin lib lib64; do ln -s usr/$folder $folder; done
grep -E '^(root|daemon|nobody|messagebus|systemd-[a-z]+):' /etc/passwd >etc/passwd
grep -E '^(root|daemon|nogroup|messagebus|systemd-[a-z]+|utmp|adm|tty|kmem|input|kvm|render|disk|dialout|audio|video|cdrom|lp|tape|users):' \
  /etc/group >etc/group
cp -a /etc/{nsswitch.conf,ld.so.cache,ld.so.conf,ld.so.conf.d,login.defs,alternatives} etc/
ln -s ../usr/lib/os-release etc/os-release
tr -d - </proc/sys/kernel/random/uuid >etc/machine-id # one that is there: no first boot, no presets
echo box >etc/hostname
echo '127.0.0.1 localhost box' >etc/hosts
# A journal in memory that keeps all; what the tests do not write is little.
printf '[Journal]\nStorage=volatile\nRateLimitIntervalSec=0\n' >etc/systemd/journald.conf.d/box.conf
# What would touch hardware, ask for a terminal, or take its time. The manager and the journal are what is tested.
for unit in systemd-tmpfiles-{setup,setup-dev,setup-dev-early,clean}.service systemd-tmpfiles-clean.timer \
  systemd-udevd.service systemd-udev-{trigger,settle,load-credentials}.service systemd-udevd-{control,kernel}.socket \
  systemd-sysctl.service systemd-modules-load.service systemd-binfmt.service kmod-static-nodes.service modprobe@.service \
  proc-sys-fs-binfmt_misc.{automount,mount} sys-kernel-{config,debug,tracing}.mount sys-fs-fuse-connections.mount \
  dev-hugepages.mount dev-mqueue.mount systemd-random-seed.service systemd-update-utmp{,-runlevel}.service \
  systemd-sysusers.service systemd-hwdb-update.service systemd-firstboot.service systemd-machine-id-commit.service \
  systemd-boot-{system-token,random-seed,update}.service systemd-remount-fs.service systemd-repart.service \
  systemd-journal-flush.service systemd-journal-catalog-update.service ldconfig.service systemd-update-done.service \
  systemd-ask-password-{console,wall}.path getty.target console-getty.service systemd-logind.service \
  systemd-networkd.{service,socket} systemd-resolved.service systemd-timesyncd.service systemd-user-sessions.service \
  systemd-pcrphase{,-sysinit,-initrd}.service systemd-pstore.service quotaon.service quotacheck.service; do
  ln -sf /dev/null "etc/systemd/system/$unit"
done
ln -s /usr/lib/systemd/system/multi-user.target etc/systemd/system/default.target
cd /

# systemd-nspawn writes to /run and /tmp and binds os-release: it gets private ones.
mount --bind $top/os-release "$(readlink -f /etc/os-release)"
for folder in /tmp /var/tmp /run; do mount -t tmpfs -o mode=1777 box-hides "$folder"; done
mount -t cgroup2 cgroup2 /sys/fs/cgroup # the root of the cgroup namespace: the group that box.py made
libraries=$(echo $root/usr/lib/*-linux-gnu/systemd | tr ' ' :)
exec env LD_LIBRARY_PATH="$libraries" $root/usr/bin/systemd-nspawn --quiet --settings=no --directory=$root --boot \
  --register=no --keep-unit --machine=box --hostname=box --private-users=identity --private-network --resolv-conf=off \
  --timezone=off --link-journal=no --console=read-only --rlimit=RLIMIT_NOFILE=1024:524288
