//! Which file systems a walk enters: proc_pid_mountinfo(5), and statfs(2) for what is not listed there.
//!
//! What is named here is entered; any other is not. A file system of this list answers from a disk of this machine.

use std::collections::{BTreeMap, HashMap};

/// File systems on disks of this machine: the name of each, and its number in linux/magic.h or in its own source.
const LOCAL: [(&str, u64); 24] = [
    ("ext2", 0xef53),
    ("ext3", 0xef53),
    ("ext4", 0xef53),
    ("xfs", 0x5846_5342),
    ("btrfs", 0x9123_683e),
    ("zfs", 0x2fc1_2fc1),
    ("f2fs", 0xf2f5_2010),
    ("bcachefs", 0xca45_1a4e),
    ("overlay", 0x794c_7630),
    ("aufs", 0x6175_6673),
    ("squashfs", 0x7371_7368),
    ("erofs", 0xe0f5_e1e2),
    ("reiserfs", 0x5265_4973),
    ("jfs", 0x3153_464a),
    ("nilfs2", 0x3434),
    ("ubifs", 0x2405_1905),
    ("jffs2", 0x72b6),
    ("minix", 0x2478),
    ("iso9660", 0x9660),
    ("udf", 0x1501_3346),
    ("vfat", 0x4d44),
    ("exfat", 0x2011_bab0),
    ("ntfs3", 0x7366_746e),
    ("rootfs", 0x8584_58f6),
];

/// File systems of the kernel's own making, in which no application lies: they are passed by without a word.
const KERNEL: [(&str, u64); 20] = [
    ("proc", 0x9fa0),
    ("sysfs", 0x6265_6572),
    ("cgroup", 0x0027_e0eb),
    ("cgroup2", 0x6367_7270),
    ("devpts", 0x1cd1),
    ("devtmpfs", u64::MAX),
    ("debugfs", 0x6462_6720),
    ("tracefs", 0x7472_6163),
    ("securityfs", 0x7363_6673),
    ("pstore", 0x6165_676c),
    ("bpf", 0xcafe_4a11),
    ("configfs", 0x6265_6570),
    ("hugetlbfs", 0x9584_58f6),
    ("mqueue", 0x1980_0202),
    ("selinuxfs", 0xf97c_ff8c),
    ("nsfs", 0x6e73_6673),
    ("rpc_pipefs", 0x6759_6969),
    ("binfmt_misc", 0x4249_4e4d),
    ("efivarfs", 0xde5e_81e4),
    ("fusectl", 0x6573_5543),
];

/// File systems that others answer for, or that do not last: named when they are passed by.
const FOREIGN: [(&str, u64); 13] = [
    ("nfs", 0x6969),
    ("cifs", 0xff53_4d42),
    ("smb3", 0xfe53_4d42),
    ("smbfs", 0x517b),
    ("fuse", 0x6573_5546),
    ("autofs", 0x0187),
    ("ceph", 0x00c3_6400),
    ("9p", 0x0102_1997),
    ("afs", 0x5346_414f),
    ("lustre", 0x0bd0_0bd0),
    ("gfs2", 0x0116_1970),
    ("ocfs2", 0x7461_636f),
    ("tmpfs", 0x0102_1994),
];

/// What is done with a file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::root) enum Verdict {
    /// It is walked.
    Enter,
    /// It holds nothing to speak of.
    Pass,
    /// It is not walked, and that is said.
    Name(String),
}

/// Returns the names of the file systems that are entered.
pub(in crate::root) fn entered() -> impl Iterator<Item = &'static str> {
    LOCAL.iter().map(|(name, _)| *name)
}

/// Judges a file system by its name in mountinfo.
fn by_name(name: &str) -> Verdict {
    let has = |list: &[(&str, u64)]| list.iter().any(|(known, _)| *known == name);
    if has(&LOCAL) {
        Verdict::Enter
    } else if has(&KERNEL) {
        Verdict::Pass
    } else {
        foreign(name)
    }
}

/// Judges a file system by its number in statfs(2).
pub(super) fn by_number(number: u64) -> Verdict {
    // A 32-bit field on some machines, a signed one on others: the number itself has 32 bits.
    let number = number & 0xffff_ffff;
    let is = |list: &[(&'static str, u64)]| {
        list.iter().find(|(_, own)| *own == number).map(|(name, _)| *name)
    };
    if is(&LOCAL).is_some() {
        return Verdict::Enter;
    }
    if is(&KERNEL).is_some() {
        return Verdict::Pass;
    }
    match is(&FOREIGN) {
        Some(name) => foreign(name),
        None => foreign(&format!("{number:#x}")),
    }
}

fn foreign(name: &str) -> Verdict {
    let what = if name == "tmpfs" || name == "ramfs" {
        "a file system in memory"
    } else if name == "autofs" {
        "mounted when somebody enters it"
    } else if name.starts_with("fuse") {
        "a file system that a program answers for"
    } else if name.starts_with("nfs") || FOREIGN.iter().any(|(known, _)| *known == name) {
        "a network file system"
    } else {
        "a file system that is not known to lie on this machine"
    };
    Verdict::Name(format!("is {what} ({}), which is not entered", name.escape_default()))
}

/// The file systems mounted below a directory, by their place in it.
#[derive(Debug, Default)]
pub(in crate::root) struct Mounts(HashMap<Vec<u8>, Verdict>);

impl Mounts {
    /// Reads `/proc/self/mountinfo`, and keeps what is mounted below a directory of this machine.
    pub(in crate::root) fn below(directory: &[u8], mountinfo: &[u8]) -> Self {
        let mut mounts = HashMap::new();
        for line in mountinfo.split(|b| *b == b'\n') {
            let mut fields = line.split(|b| *b == b' ');
            let Some(place) = fields.nth(4).map(unescaped) else { continue };
            // Behind the optional fields a dash, then the type.
            let Some(name) = fields.skip_while(|f| *f != b"-").nth(1) else { continue };
            let directory = directory.strip_suffix(b"/").unwrap_or(directory);
            let Some(below) = place.strip_prefix(directory).and_then(|p| p.strip_prefix(b"/"))
            else {
                continue;
            };
            if !below.is_empty() {
                // Of two on the same place the later one lies on top.
                mounts.insert(below.to_vec(), by_name(&String::from_utf8_lossy(name)));
            }
        }
        Self(mounts)
    }

    /// Reads the mountinfo of a process in a container, and passes by everything that is mounted there: volumes are
    /// directories of its server, and walked as such.
    pub(in crate::root) fn none(mountinfo: &[u8]) -> Self {
        let mounts = Self::below(b"/", mountinfo);
        Self(mounts.0.into_keys().map(|place| (place, Verdict::Pass)).collect())
    }

    /// Returns every place where something is mounted, in order.
    pub(in crate::root) fn all(&self) -> BTreeMap<&[u8], &Verdict> {
        self.0.iter().map(|(place, verdict)| (place.as_slice(), verdict)).collect()
    }

    /// Returns what is known of a directory, if something is mounted there.
    pub(in crate::root) fn at(&self, place: &[u8]) -> Option<&Verdict> {
        if self.0.is_empty() { None } else { self.0.get(place) }
    }
}

/// Undoes the escapes of mountinfo: a blank, a tab, a line feed and a backslash stand in octal digits.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut left = field;
    while let Some((&first, rest)) = left.split_first() {
        left = rest;
        let digits = rest.get(..3).filter(|_| first == b'\\');
        let byte =
            digits.and_then(|d| str::from_utf8(d).ok()).and_then(|d| u8::from_str_radix(d, 8).ok());
        match byte {
            Some(byte) => {
                out.push(byte);
                left = rest.get(3..).unwrap_or_default();
            }
            None => out.push(first),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_systems_of_this_machine_alone_are_entered() {
        const MOUNTINFO: &[u8] = b"22 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
            23 22 0:5 / /mnt/a\\040b rw shared:1 master:2 - nfs4 host:/x rw\n\
            24 22 8:2 / /mnt/disk rw - xfs /dev/sda2 rw\n\
            25 22 0:6 / /mnt/disk/proc rw - proc proc rw\n\
            26 22 0:7 / /mnt/f rw - fuse.sshfs me@host: rw\n\
            27 22 0:8 / /mntx rw - nfs host:/y rw\nbroken line\n";
        let mounts = Mounts::below(b"/mnt", MOUNTINFO);
        assert_eq!(mounts.0.len(), 4, "{mounts:?}");
        let told = |place: &str| match mounts.at(place.as_bytes()) {
            Some(Verdict::Name(why)) => why.clone(),
            other => format!("{other:?}"),
        };
        assert_eq!(told("a b"), "is a network file system (nfs4), which is not entered");
        assert_eq!(
            told("f"),
            "is a file system that a program answers for (fuse.sshfs), which is not entered"
        );
        assert_eq!(mounts.at(b"disk"), Some(&Verdict::Enter));
        assert_eq!(mounts.at(b"disk/proc"), Some(&Verdict::Pass));
        assert_eq!(mounts.at(b"elsewhere"), None);
        assert_eq!(Mounts::below(b"/", MOUNTINFO).0.len(), 5);
    }

    #[test]
    fn an_unknown_file_system_is_not_entered() {
        assert_eq!(by_number(0xef53), Verdict::Enter);
        assert_eq!(by_number(0x9fa0), Verdict::Pass);
        assert!(matches!(by_number(0x6573_5546), Verdict::Name(why) if why.contains("program")));
        assert!(matches!(by_number(0x1234_5678), Verdict::Name(why) if why.contains("not known")));
        assert_eq!(by_number(0xffff_ffff_9123_683e), Verdict::Enter, "a signed field");
    }
}
