//! A file system that never answers: a FUSE file system whose server stops after initialization.

use std::fs::File;
use std::io::{self, Read, Write, stderr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};

use tempfile::TempDir;

/// FUSE operations.
const INIT: u32 = 26;
const STATFS: u32 = 17;

/// The reply to INIT: protocol version 7.31, writes of one page, and no optional features.
const BEGINS: [u32; 16] = [7, 31, 0, 0, 0, 4_096, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// A mounted file system. Dropping it fails all pending operations.
#[derive(Debug)]
pub struct Hung {
    folder: TempDir,
    server: Option<JoinHandle<()>>,
    /// Unmounts it when its input ends, and after five minutes at the latest: a thread that waits
    /// for such a file system cannot be killed, and its process cannot end.
    unmounts: Child,
}

impl Hung {
    /// Mounts one. Prints a note and returns `None` without the permission.
    ///
    /// # Errors
    /// Those of operations that need no permission.
    pub fn mount() -> io::Result<Option<Self>> {
        let folder = tempfile::tempdir()?;
        let Ok(device) = File::options().read(true).write(true).open("/dev/fuse") else {
            return skipped("/dev/fuse can't be opened");
        };
        let options = "fd=0,rootmode=40000,user_id=0,group_id=0";
        let mounted = Command::new("mount")
            .args(["-i", "-t", "fuse", "-o", options, "hung"])
            .arg(folder.path())
            .stdin(Stdio::from(device.try_clone()?))
            .output()?;
        if !mounted.status.success() {
            return skipped(String::from_utf8_lossy(&mounted.stderr).trim_end());
        }
        let unmounts = Command::new("sh")
            .args(["-c", "timeout 300 cat; exec umount -f -l \"$0\""])
            .arg(folder.path())
            .stdin(Stdio::piped())
            .spawn()?;
        // It ends with the file system.
        let server = thread::spawn(move || while serve(&device).is_ok() {});
        Ok(Some(Self { folder, server: Some(server), unmounts }))
    }

    /// The mount point.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Hung {
    fn drop(&mut self) {
        // `wait` closes its input.
        if self.unmounts.wait().is_ok_and(|status| status.success()) {
            let _ = self.server.take().map(JoinHandle::join);
        }
    }
}

fn skipped<T>(why: &str) -> io::Result<Option<T>> {
    writeln!(stderr(), "skipped, as nothing can be mounted: {why}")?;
    Ok(None)
}

/// Reads one request. Replies only to INIT and, with an error, to STATFS, which precede any file
/// operation.
fn serve(mut device: &File) -> io::Result<()> {
    // The header starts with length, opcode and request id.
    let mut asked = vec![0; 64 << 10];
    if device.read(&mut asked)? < 16 {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let (kind, number) = (&asked[4..8], &asked[8..16]);
    let (error, body): (i32, &[u32]) = match u32::from_ne_bytes(kind.try_into().unwrap_or_default())
    {
        INIT => (0, &BEGINS),
        // ENOSYS
        STATFS => (-38, &[]),
        _ => return Ok(()),
    };
    let body: Vec<u8> = body.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let len = body.len() as u32 + 16;
    let head = [&len.to_ne_bytes(), &error.to_ne_bytes()[..], number];
    device.write_all(&[&*head.concat(), &body].concat())
}
