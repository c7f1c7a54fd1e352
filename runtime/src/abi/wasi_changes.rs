//! The calls of WASI that would change files, and those that make sure of a
//! change or prepare for one: a function can't change any file, and is told so.

use wasmtime::Linker;

use super::errno::{ROFS, SUCCESS};
use super::state::{Call, State};
use super::wasi::MODULE;
use super::wasi_files::known;

pub(super) fn add_to(linker: &mut Linker<State>) -> wasmtime::Result<()> {
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
        .func_wrap(MODULE, "fd_sync", |call: Call<'_>, fd| known(call, fd, SUCCESS))?
        .func_wrap(MODULE, "fd_datasync", |call: Call<'_>, fd| known(call, fd, SUCCESS))?;
    Ok(())
}
