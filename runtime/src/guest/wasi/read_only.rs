//! The calls of WASI that would change files, and those that sync or prepare a
//! change. A function can't change any file, so they fail. Sockets are not
//! available either.

use wasmtime::Linker;

use super::MODULE;
use super::errno::{BADF, NOTSOCK, ROFS, SPIPE, SUCCESS};
use super::files::known;
use crate::guest::state::files::FIRST;
use crate::guest::state::{Call, State};

pub(crate) fn add_to(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker
        .func_wrap(MODULE, "path_create_directory", |call: Call<'_>, fd, _: i32, _: i32| {
            known(call, fd, ROFS)
        })?
        .func_wrap(MODULE, "path_remove_directory", |call: Call<'_>, fd, _: i32, _: i32| {
            known(call, fd, ROFS)
        })?
        .func_wrap(MODULE, "path_unlink_file", |call: Call<'_>, fd, _: i32, _: i32| {
            known(call, fd, ROFS)
        })?
        .func_wrap(
            MODULE,
            "path_rename",
            |call: Call<'_>, fd, _: i32, _: i32, _: i32, _: i32, _: i32| known(call, fd, ROFS),
        )?
        .func_wrap(
            MODULE,
            "path_link",
            |call: Call<'_>, fd, _: i32, _: i32, _: i32, _: i32, _: i32, _: i32| {
                known(call, fd, ROFS)
            },
        )?
        .func_wrap(MODULE, "path_symlink", |call: Call<'_>, _: i32, _: i32, fd, _: i32, _: i32| {
            known(call, fd, ROFS)
        })?
        .func_wrap(
            MODULE,
            "path_filestat_set_times",
            |call: Call<'_>, fd, _: i32, _: i32, _: i32, _: i64, _: i64, _: i32| {
                known(call, fd, ROFS)
            },
        )?
        .func_wrap(
            MODULE,
            "fd_filestat_set_times",
            |call: Call<'_>, fd, _: i64, _: i64, _: i32| known(call, fd, ROFS),
        )?
        .func_wrap(MODULE, "fd_filestat_set_size", |call: Call<'_>, fd, _: i64| {
            known(call, fd, ROFS)
        })?
        .func_wrap(MODULE, "fd_allocate", |call: Call<'_>, fd, _: i64, _: i64| {
            known(call, fd, ROFS)
        })?
        .func_wrap(MODULE, "fd_advise", |call: Call<'_>, fd, _: i64, _: i64, _: i32| {
            known(call, fd, SUCCESS)
        })?
        .func_wrap(
            MODULE,
            "fd_pwrite",
            |_: Call<'_>, fd: u32, _: i32, _: i32, _: i64, _: i32| {
                if fd < FIRST { SPIPE } else { BADF }
            },
        )?
        .func_wrap(MODULE, "sock_accept", |call: Call<'_>, fd, _: i32, _: i32| no_socket(call, fd))?
        .func_wrap(
            MODULE,
            "sock_recv",
            |call: Call<'_>, fd, _: i32, _: i32, _: i32, _: i32, _: i32| no_socket(call, fd),
        )?
        .func_wrap(MODULE, "sock_send", |call: Call<'_>, fd, _: i32, _: i32, _: i32, _: i32| {
            no_socket(call, fd)
        })?
        .func_wrap(MODULE, "sock_shutdown", |call: Call<'_>, fd, _: i32| no_socket(call, fd))?
        .func_wrap(MODULE, "fd_sync", |call: Call<'_>, fd| known(call, fd, SUCCESS))?
        .func_wrap(MODULE, "fd_datasync", |call: Call<'_>, fd| known(call, fd, SUCCESS))?;
    Ok(())
}

/// The error for a descriptor that would have to be a socket.
fn no_socket(call: Call<'_>, fd: u32) -> i32 {
    if fd < FIRST { NOTSOCK } else { known(call, fd, NOTSOCK) }
}
