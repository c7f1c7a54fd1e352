//! The calls of WASI that read files, in the folders that the function may
//! read.
//!
//! A read that would block on a disk is done by a thread that may block. The
//! guest waits for it only until its context is done, and the end of the
//! invocation does not wait for it. Most reads are served from the kernel's
//! cache and run on the guest's thread: they take less time than a round trip
//! to another thread. Nothing here waits for anything but a disk.

use wasmtime::{FuncType, Linker, Val, ValType};

use super::MODULE;
use super::errno::{AGAIN, BADF, CANCELED, INVAL, IO, NAMETOOLONG};
use super::errno::{NOTSOCK, OVERFLOW, ROFS, SPIPE, SUCCESS};
use super::folder::{self, Lookup};
use crate::guest::memory::{self, bytes, parts, paste, range, write};
use crate::guest::state::files::FIRST;
use crate::guest::state::{Call, State};
use crate::mounts::{Disk, Mount};

/// The longest path, in bytes.
const MAX_PATH: u32 = 4_096;

/// The most bytes that one call reads, from a file and from a folder.
const MAX_READ: u32 = 256 << 10;
const MAX_LIST: u32 = 1 << 20;

/// The flags of `path_open`: a folder is expected; the file is created if it is
/// missing, has to be created, or is truncated; a right to write; append mode.
const DIRECTORY: u32 = 1 << 1;
const CHANGES: u32 = 1 << 0 | 1 << 2 | 1 << 3;
const WRITE: u64 = 1 << 6;
const APPEND: u32 = 1 << 0;

/// The rights that a guest has: to read, seek and tell, and to open, list,
/// follow links and read metadata.
const READ: u64 = 1 << 1;
const RIGHTS: u64 = READ | 1 << 2 | 1 << 5 | 1 << 13 | 1 << 14 | 1 << 15 | 1 << 18 | 1 << 21;

/// The calls that would change files, and those that sync or prepare a change. A
/// function can't change any file, so they fail. Sockets are not available
/// either. Each has the types of its parameters (`i` has 32 bits, `I` has 64), the
/// index of the descriptor among them, and the result for a valid descriptor.
const READ_ONLY: [(&str, &str, usize, i32); 18] = [
    ("path_create_directory", "iii", 0, ROFS),
    ("path_remove_directory", "iii", 0, ROFS),
    ("path_unlink_file", "iii", 0, ROFS),
    ("path_rename", "iiiiii", 0, ROFS),
    ("path_link", "iiiiiii", 0, ROFS),
    ("path_symlink", "iiiii", 2, ROFS),
    ("path_filestat_set_times", "iiiiIIi", 0, ROFS),
    ("fd_filestat_set_times", "iIIi", 0, ROFS),
    ("fd_filestat_set_size", "iI", 0, ROFS),
    ("fd_allocate", "iII", 0, ROFS),
    ("fd_advise", "iIIi", 0, SUCCESS),
    ("fd_pwrite", "iiiIi", 0, BADF),
    ("sock_accept", "iii", 0, NOTSOCK),
    ("sock_recv", "iiiiii", 0, NOTSOCK),
    ("sock_send", "iiiii", 0, NOTSOCK),
    ("sock_shutdown", "ii", 0, NOTSOCK),
    ("fd_sync", "i", 0, SUCCESS),
    ("fd_datasync", "i", 0, SUCCESS),
];

/// The reason why a call fails: a code for the guest, or a trap.
pub(crate) enum Fault {
    Code(i32),
    Trap(wasmtime::Error),
}

pub(crate) type Result<T> = std::result::Result<T, Fault>;

/// Adds calls to a linker, each under its own name with these arguments.
macro_rules! define {
    ($linker:ident: $($name:ident($($arg:ident),*)),*; async $($waits:ident),*) => {
        $($linker.func_wrap(MODULE, stringify!($name), |call: Call<'_>, $($arg),*| {
            answer($name(call, $($arg),*))
        })?;)*
        $($linker.func_wrap_async(MODULE, stringify!($waits), |call: Call<'_>, args| {
            Box::new(async move { answer($waits(call, args).await) })
        })?;)*
    };
}

pub(crate) fn add_to(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    define!(
        linker:
        fd_prestat_get(fd, out), fd_prestat_dir_name(fd, ptr, len), fd_fdstat_get(fd, out),
        fd_close(fd), fd_tell(fd, out);
        async fd_seek, fd_read, fd_pread, fd_readdir, fd_filestat_get, path_filestat_get,
        path_readlink, path_open
    );
    for (name, parameters, descriptor, code) in READ_ONLY {
        let parameters = parameters.chars().map(|kind| match kind {
            'I' => ValType::I64,
            _ => ValType::I32,
        });
        let signature = FuncType::new(linker.engine(), parameters, [ValType::I32]);
        linker.func_new(MODULE, name, signature, move |mut call, arguments, results| {
            let fd = arguments.get(descriptor).and_then(Val::i32).unwrap_or(-1).cast_unsigned();
            let code = match code {
                NOTSOCK if fd < FIRST => NOTSOCK,
                BADF if fd < FIRST => SPIPE,
                code => known(call.data_mut(), fd, code),
            };
            results.fill(Val::I32(code));
            Ok(())
        })?;
    }
    Ok(())
}

/// Returns a code, if the descriptor is valid.
fn known(state: &mut State, fd: u32, code: i32) -> i32 {
    state.opened(fd).map_or_else(|code| code, |_| code)
}

fn fd_prestat_get(mut call: Call<'_>, fd: u32, out: u32) -> Result<()> {
    let (memory, state) = parts(&mut call)?;
    let len = mount(state, fd)?.path.len() as u32;
    // The first word marks it as a folder.
    write(memory, out, &0_u32.to_le_bytes())?;
    Ok(write(memory, out.saturating_add(4), &len.to_le_bytes())?)
}

fn fd_prestat_dir_name(mut call: Call<'_>, fd: u32, ptr: u32, len: u32) -> Result<()> {
    let (memory, state) = parts(&mut call)?;
    let path = mount(state, fd)?.path.as_bytes();
    if path.len() > len as usize {
        return Err(NAMETOOLONG.into());
    }
    Ok(write(memory, ptr, path)?)
}

fn mount(state: &mut State, fd: u32) -> Result<&Mount> {
    let index = state.opened(fd)?.mount.ok_or(BADF)?;
    Ok(state.capabilities.mounts.get(index).ok_or(BADF)?)
}

fn fd_fdstat_get(mut call: Call<'_>, fd: u32, out: u32) -> Result<()> {
    let (memory, state) = parts(&mut call)?;
    let (kind, rights) = match fd {
        0 => (0, READ),
        1 | 2 => (0, WRITE),
        _ => (state.opened(fd)?.kind, RIGHTS),
    };
    write(memory, out, &u64::from(kind).to_le_bytes())?;
    write(memory, out.saturating_add(8), &rights.to_le_bytes())?;
    Ok(write(memory, out.saturating_add(16), &rights.to_le_bytes())?)
}

fn fd_close(mut call: Call<'_>, fd: u32) -> Result<()> {
    if fd < FIRST {
        return Ok(());
    }
    Ok(call.data_mut().close(fd)?)
}

fn fd_tell(mut call: Call<'_>, fd: u32, out: u32) -> Result<()> {
    let (memory, state) = parts(&mut call)?;
    if fd < FIRST {
        return Err(SPIPE.into());
    }
    Ok(write(memory, out, &state.file(fd)?.position.to_le_bytes())?)
}

async fn fd_seek(mut call: Call<'_>, (fd, by, whence, out): (u32, i64, u32, u32)) -> Result<()> {
    if fd < FIRST {
        return Err(SPIPE.into());
    }
    let open = call.data_mut().file(fd)?;
    let from = match whence {
        0 => 0,
        1 => open.position,
        2 => {
            let (file, disk) = open.parts();
            quickly(&mut call, &disk, move |cached| folder::length(&file, cached)).await?
        }
        _ => return Err(INVAL.into()),
    };
    let position = from.checked_add_signed(by).ok_or(INVAL)?;
    let (memory, state) = parts(&mut call)?;
    state.file(fd)?.position = position;
    Ok(write(memory, out, &position.to_le_bytes())?)
}

/// Reads from the end of the last read. Standard input is at its end.
pub(crate) async fn fd_read(
    mut call: Call<'_>,
    (fd, list, count, out): (u32, u32, u32, u32),
) -> Result<()> {
    if fd == 0 {
        return Ok(write(parts(&mut call)?.0, out, &0_u32.to_le_bytes())?);
    }
    let position = call.data_mut().file(fd)?.position;
    let len = read_at(&mut call, fd, (list, count), position, out).await?;
    call.data_mut().file(fd)?.position = position.saturating_add(len);
    Ok(())
}

async fn fd_pread(
    mut call: Call<'_>,
    (fd, list, count, position, out): (u32, u32, u32, u64, u32),
) -> Result<()> {
    read_at(&mut call, fd, (list, count), position, out).await.map(drop)
}

/// Reads into the ranges of a list, and writes how many bytes were read.
async fn read_at(
    call: &mut Call<'_>,
    fd: u32,
    list: (u32, u32),
    position: u64,
    out: u32,
) -> Result<u64> {
    let (memory, state) = parts(call)?;
    let (mut ranges, mut total) = (Vec::new(), 0);
    for listed in memory::ranges(memory, list, MAX_READ) {
        let (ptr, len) = listed?;
        bytes(memory, ptr, len)?;
        ranges.push((ptr, len));
        total += len;
    }
    let (file, disk) = state.file(fd)?.parts();
    let work = move |cached| folder::read(&file, position, total as usize, cached);
    let read = quickly(call, &disk, work).await?;
    let (memory, _) = parts(call)?;
    let mut rest = &*read;
    for (ptr, len) in ranges {
        let (now, later) = rest.split_at_checked(len as usize).unwrap_or((rest, &[]));
        write(memory, ptr, now)?;
        rest = later;
    }
    write(memory, out, &(read.len() as u32).to_le_bytes())?;
    Ok(read.len() as u64)
}

async fn fd_readdir(
    mut call: Call<'_>,
    (fd, ptr, len, from, out): (u32, u32, u32, u64, u32),
) -> Result<()> {
    let (memory, state) = parts(&mut call)?;
    range(memory, ptr, len)?;
    if len > MAX_LIST {
        return Err(OVERFLOW.into());
    }
    let (folder, disk) = state.folder(fd)?;
    let work = move || folder::list(&folder, from, len as usize);
    let listed = apart(&mut call, &disk, work).await?;
    paste(&mut call, ptr, &listed).await?;
    Ok(write(parts(&mut call)?.0, out, &(listed.len() as u32).to_le_bytes())?)
}

async fn fd_filestat_get(mut call: Call<'_>, (fd, out): (u32, u32)) -> Result<()> {
    let stat = if fd < FIRST {
        [0; 64]
    } else {
        let (file, disk) = call.data_mut().opened(fd)?.parts();
        quickly(&mut call, &disk, move |cached| folder::about(&file, cached)).await?
    };
    Ok(write(parts(&mut call)?.0, out, &stat)?)
}

async fn path_filestat_get(
    mut call: Call<'_>,
    (fd, flags, ptr, len, out): (u32, u32, u32, u32, u32),
) -> Result<()> {
    let stat = at(&mut call, fd, (ptr, len), flags, |path| path.stat()).await?;
    Ok(write(parts(&mut call)?.0, out, &stat)?)
}

async fn path_readlink(
    mut call: Call<'_>,
    (fd, ptr, len, buffer, capacity, out): (u32, u32, u32, u32, u32, u32),
) -> Result<()> {
    let mut link = at(&mut call, fd, (ptr, len), 0, |path| path.link()).await?;
    link.truncate(capacity as usize);
    let (memory, _) = parts(&mut call)?;
    write(memory, buffer, &link)?;
    Ok(write(memory, out, &(link.len() as u32).to_le_bytes())?)
}

/// The arguments of `path_open`: the folder, how links are followed, the path
/// and its length, the open flags, the rights for it and for files opened
/// beneath it, the flags of the descriptor, and the address for the descriptor.
type OpenArgs = (u32, u32, u32, u32, u32, u64, u64, u32, u32);

async fn path_open(mut call: Call<'_>, args: OpenArgs) -> Result<()> {
    let (fd, flags, ptr, len, how, rights, _, writing, out) = args;
    if how & CHANGES != 0 || rights & WRITE != 0 || writing & APPEND != 0 {
        return Err(known(call.data_mut(), fd, ROFS).into());
    }
    call.data().run.files.check_room()?;
    let folder = how & DIRECTORY != 0;
    let found = at(&mut call, fd, (ptr, len), flags, move |path| path.open(folder)).await?;
    let (memory, state) = parts(&mut call)?;
    let opened = state.run.files.add(found)?;
    Ok(write(memory, out, &opened.to_le_bytes())?)
}

/// Runs an operation at a path beneath a folder.
async fn at<T: Send + 'static>(
    call: &mut Call<'_>,
    fd: u32,
    (ptr, len): (u32, u32),
    flags: u32,
    work: impl Fn(&Lookup<'_>) -> std::result::Result<T, i32> + Send + 'static,
) -> Result<T> {
    let (memory, state) = parts(call)?;
    if len > MAX_PATH {
        return Err(NAMETOOLONG.into());
    }
    let path = bytes(memory, ptr, len)?.to_vec();
    let ((folder, disk), follow) = (state.folder(fd)?, flags & 1 == 1);
    let its = disk.clone();
    let work =
        move |cached| work(&Lookup { folder: &folder, disk: &its, path: &path, follow, cached });
    quickly(call, &disk, work).await
}

/// Runs an operation on this thread if it does not have to wait for a disk, and
/// else on another.
async fn quickly<T: Send + 'static>(
    call: &mut Call<'_>,
    disk: &Disk,
    work: impl Fn(bool) -> std::result::Result<T, i32> + Send + 'static,
) -> Result<T> {
    match if disk.is_local() { work(true) } else { Err(AGAIN) } {
        Err(AGAIN) => apart(call, disk, move || work(false)).await,
        done => Ok(done?),
    }
}

/// Runs an operation on a thread that may block on a disk. If the context is
/// done first, the thread continues on its own.
async fn apart<T: Send + 'static>(
    call: &mut Call<'_>,
    disk: &Disk,
    work: impl FnOnce() -> std::result::Result<T, i32> + Send + 'static,
) -> Result<T> {
    let ctx = call.data_mut().run.ctx.clone();
    tokio::select! {
        biased;
        _ = ctx.done() => Err(CANCELED.into()),
        done = disk.wait(work) => Ok(done.unwrap_or(Err(IO))?),
    }
}

/// The result of a call for the guest.
pub(crate) fn answer(result: Result<()>) -> wasmtime::Result<i32> {
    match result {
        Ok(()) => Ok(SUCCESS),
        Err(Fault::Code(code)) => Ok(code),
        Err(Fault::Trap(error)) => Err(error),
    }
}

impl From<i32> for Fault {
    fn from(code: i32) -> Self {
        Self::Code(code)
    }
}

impl From<wasmtime::Error> for Fault {
    fn from(error: wasmtime::Error) -> Self {
        Self::Trap(error)
    }
}
