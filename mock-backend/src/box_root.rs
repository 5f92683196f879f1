//! The file system of a box: its own root directory, in which the programs of the machine are seen but cannot be changed.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_bind_recursive,
    mount_change, mount_remount, unmount,
};
use rustix::thread::UnshareFlags;

use crate::protocol::{Bind, BoxPlan, Isolation};

/// Directories of the machine that hold its programs and their settings.
pub(crate) const SHARED: [&str; 11] = [
    "bin", "sbin", "lib", "lib32", "lib64", "libx32", "usr", "etc", "opt", "nix", "gnu",
];
/// What a box has of its own from the beginning.
const OWN: [&str; 11] = [
    "tmp",
    "root",
    "home",
    "run",
    MEMORY,
    "var",
    "var/tmp",
    "var/log",
    "var/lib",
    "var/cache",
    "mnt",
];
/// What a box shows as `/dev/shm`.
const MEMORY: &str = "run/shm";
/// Those of them that all may write into.
const FOR_ALL: [&str; 3] = ["tmp", "var/tmp", MEMORY];
/// Size of the file system that takes the place of what can be written when the disk is full: one page.
const FULL_DISK: &std::ffi::CStr = c"size=4k,nr_inodes=2";

/// Makes the directories that a new box has.
pub(crate) fn make(root: &Path) -> io::Result<()> {
    fs::create_dir_all(root)?;
    for name in OWN {
        fs::create_dir_all(root.join(name))?;
    }
    for name in FOR_ALL {
        fs::set_permissions(root.join(name), fs::Permissions::from_mode(0o1777))?;
    }
    Ok(())
}

/// Where programs are that a personality puts into its boxes.
pub(crate) const GUEST: &str = "run/guest";

/// Puts programs into a box: shell scripts by name.
pub(crate) fn furnish<'a>(
    root: &Path,
    programs: impl Iterator<Item = (&'a String, &'a String)>,
) -> io::Result<()> {
    let place = root.join(GUEST);
    for (name, text) in programs {
        fs::create_dir_all(&place)?;
        let path = place.join(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n"))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

/// Where a path in a box is on this machine. `..` does not lead out of it.
pub(crate) fn on_machine(root: &Path, inside: &Path) -> PathBuf {
    let mut path = root.to_path_buf();
    let mut depth = 0;
    for part in inside.components() {
        match part {
            Component::Normal(name) => {
                path.push(name);
                depth += 1;
            }
            Component::ParentDir if depth > 0 => {
                path.pop();
                depth -= 1;
            }
            _ => {}
        }
    }
    path
}

/// Whether a path in a box belongs to the machine, so that it cannot be changed.
pub(crate) fn is_shared(inside: &Path) -> bool {
    let first = inside.components().find_map(|part| match part {
        Component::Normal(name) => name.to_str(),
        _ => None,
    });
    first.is_some_and(|name| SHARED.contains(&name) || ["proc", "sys", "dev"].contains(&name))
}

/// Enters new namespaces; processes started from now on are in that of processes.
#[expect(
    unsafe_code,
    reason = "the call is unsafe since it can unshare the table of descriptors, which these flags do not contain"
)]
pub(crate) fn unshare(isolation: Isolation) -> io::Result<()> {
    let (user, group) = (rustix::process::getuid(), rustix::process::getgid());
    let mut flags =
        UnshareFlags::NEWNS | UnshareFlags::NEWPID | UnshareFlags::NEWUTS | UnshareFlags::NEWNET;
    if isolation == Isolation::UserNamespaces {
        flags |= UnshareFlags::NEWUSER;
    }
    // SAFETY: no flag among them changes what a descriptor or an address of this process means.
    unsafe { rustix::thread::unshare_unsafe(flags) }?;
    if isolation == Isolation::UserNamespaces {
        fs::write("/proc/self/setgroups", "deny")?;
        fs::write("/proc/self/uid_map", format!("0 {} 1", user.as_raw()))?;
        fs::write("/proc/self/gid_map", format!("0 {} 1", group.as_raw()))?;
    }
    Ok(())
}

/// Makes the box's root directory that of this process, in its own namespaces.
pub(crate) fn enter(plan: &BoxPlan) -> io::Result<()> {
    let root = &plan.root;
    mount_change(
        "/",
        MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
    )?;
    mount_bind_recursive(root, root)?;
    for name in SHARED {
        share(root, name, plan.isolation)?;
    }
    for name in ["dev", "sys"] {
        fs::create_dir_all(root.join(name))?;
        mount_bind_recursive(Path::new("/").join(name), root.join(name))?;
    }
    let memory = root.join("dev/shm");
    if memory.is_dir() {
        // A directory of the box instead of memory: the job's directories may lie there, since the harness keeps its own
        // on the machine's, and a box that is restarted keeps its files.
        mount_bind(root.join(MEMORY), &memory)?;
    }
    let processes = root.join("proc");
    fs::create_dir_all(&processes)?;
    if mount("proc", &processes, "proc", MountFlags::NOSUID, None).is_err() {
        // Where parts of it are hidden, as in a container, a user may not mount a new one.
        mount_bind_recursive("/proc", &processes)?;
    }
    for bind in &plan.binds {
        show(root, bind)?;
    }
    rustix::system::sethostname(plan.hostname.as_bytes())?;
    let _without_loopback = loopback_up();
    std::env::set_current_dir(root)?;
    rustix::process::pivot_root(".", ".")?;
    unmount(".", UnmountFlags::DETACH)?;
    std::env::set_current_dir("/")
}

/// Shows a top-level directory of the machine in the box: read-only, or as the link that it is.
fn share(root: &Path, name: &str, isolation: Isolation) -> io::Result<()> {
    let (there, here) = (Path::new("/").join(name), root.join(name));
    let Ok(metadata) = there.symlink_metadata() else {
        return Ok(());
    };
    if metadata.is_symlink() {
        if here.symlink_metadata().is_err() {
            std::os::unix::fs::symlink(fs::read_link(&there)?, &here)?;
        }
        return Ok(());
    }
    fs::create_dir_all(&here)?;
    mount_bind_recursive(&there, &here)?;
    let read_only = mount_remount(&here, MountFlags::BIND | MountFlags::RDONLY, c"");
    match (read_only, isolation) {
        // An unprivileged user cannot change it anyway.
        (Ok(()), _) | (Err(_), Isolation::UserNamespaces) => Ok(()),
        (Err(errno), _) => Err(errno.into()),
    }
}

fn show(root: &Path, bind: &Bind) -> io::Result<()> {
    let target = on_machine(root, &bind.target);
    if bind.source.is_dir() {
        fs::create_dir_all(&target)?;
    } else {
        fs::create_dir_all(target.parent().unwrap_or(root))?;
        if !target.exists() {
            fs::write(&target, "")?;
        }
    }
    // An unprivileged user may not leave out what is mounted below.
    mount_bind(&bind.source, &target).or_else(|_| mount_bind_recursive(&bind.source, &target))?;
    if bind.read_only {
        mount_remount(&target, MountFlags::BIND | MountFlags::RDONLY, c"")?;
    }
    Ok(())
}

/// Makes every directory of the box that can be written as full as a disk can be: what is written fails with "no space
/// left on device". What was in them is not seen any more.
pub(crate) fn fill_disk() -> io::Result<()> {
    let shared = |name: &str| SHARED.contains(&name) || ["proc", "sys", "dev"].contains(&name);
    for entry in fs::read_dir("/")?.flatten() {
        let name = entry.file_name();
        let is_own =
            entry.file_type().is_ok_and(|kind| kind.is_dir()) && !name.to_str().is_none_or(shared);
        if is_own {
            mount(
                "full",
                entry.path(),
                "tmpfs",
                MountFlags::empty(),
                FULL_DISK,
            )?;
            let _full_already = fs::write(entry.path().join(".full"), [0; 8192]);
        }
    }
    Ok(())
}

/// Switches the loopback device of a new network namespace on: one message of 32 bytes to the kernel.
fn loopback_up() -> io::Result<()> {
    use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, send, socket_with};
    const REQUEST: u16 = 1;
    const NEW_LINK: u16 = 16;
    const LENGTH: u32 = 32;
    const UP: u32 = 1;
    const LOOPBACK: i32 = 1;
    let mut message = Vec::with_capacity(LENGTH as usize);
    message.extend_from_slice(&LENGTH.to_ne_bytes());
    message.extend_from_slice(&NEW_LINK.to_ne_bytes());
    message.extend_from_slice(&REQUEST.to_ne_bytes());
    message.extend_from_slice(&[0; 8]); // sequence and sender
    message.extend_from_slice(&[0; 4]); // family and type
    message.extend_from_slice(&LOOPBACK.to_ne_bytes());
    message.extend_from_slice(&UP.to_ne_bytes());
    message.extend_from_slice(&UP.to_ne_bytes());
    let kernel = socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        // Protocol 0 is that of routes and links.
        None,
    )?;
    send(&kernel, &message, SendFlags::empty())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_leads_out_of_the_box() {
        let place = |inside: &str| on_machine(Path::new("/b"), Path::new(inside));
        assert_eq!(place("/tmp/../../../etc"), Path::new("/b/etc"));
        assert_eq!(place("builds/./x"), Path::new("/b/builds/x"));
        assert_eq!(place("/"), Path::new("/b"));
    }

    #[test]
    fn programs_of_the_machine_are_told_from_what_a_box_owns() {
        assert!(is_shared(Path::new("/usr/bin/x")));
        assert!(!is_shared(Path::new("/usrlocal/x")));
        assert!(!is_shared(Path::new("/builds/x")));
    }
}
