//! Requests to other hosts, in a host built without an HTTP client. The
//! functions exist because guests import them whether they call them or not.

use wasmtime::Linker;

use crate::guest::state::{Call, State};
use crate::guest::{MODULE, Misuse};

type Refused = wasmtime::Result<i32>;

pub(crate) fn add_to(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker
        .func_wrap(
            MODULE,
            "fetch_start",
            |_: Call<'_>, _: u32, _: u32, _: u32, _: u32, _: u32, _: u32| -> Refused {
                let text = "the host has no way out to others: build it with the feature `server`";
                Err(Misuse(text.into()).into())
            },
        )?
        .func_wrap(MODULE, "fetch_write", unknown)?
        .func_wrap(MODULE, "fetch_head", unknown)?
        .func_wrap(MODULE, "fetch_read", unknown)?
        .func_wrap(MODULE, "fetch_drop", |_: Call<'_>, _: u32| {})?;
    Ok(())
}

fn unknown(_: Call<'_>, fetch: u32, _: u32, _: u32) -> Refused {
    Err(Misuse::unknown("fetch", fetch).into())
}
