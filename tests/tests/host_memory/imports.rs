//! Every import, in a loop, with the largest arguments. `docs/limits.md` has the same list.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Result;
use hourglass_tests::guests::repository;
use hourglass_tests::modules::{CONTEXT, Module, WASI};
use hourglass_tests::upstream::{Upstream, ok};
use tokio::time::timeout;
use wasm_encoder::{MemArg, ValType};

use crate::counting::Growth;
use crate::{
    MEMORY, SLACK, answering, fields, function, headers, import, invoke, request_head,
    response_head, runtime, signature, times,
};

/// Every import with its parameters and results: `i` is an `i32`, `I` an `i64`.
pub(crate) const SIGNATURES: [(&str, &[(&str, &str)]); 2] =
    [(CONTEXT, OF_CONTEXT), (WASI, OF_WASI)];

const OF_CONTEXT: &[(&str, &str)] = &[
    ("request", "ii>i"),
    ("body_read", "ii>i"),
    ("respond", "iiii>i"),
    ("respond_begin", "ii>i"),
    ("respond_write", "ii>i"),
    ("context_err", "i>i"),
    ("context_remaining", "i>I"),
    ("context_cause", "iii>i"),
    ("context_value", "iiiii>i"),
    ("context_values", "iii>i"),
    ("context_sleep", "iI>i"),
    ("context_derive", "iI>i"),
    ("context_with_value", "iiiii>i"),
    ("context_without_cancel", "i>i"),
    ("context_cancel", "iii>i"),
    ("context_drop", "i>"),
    ("call", "iiiiiiiii>I"),
    ("call_start", "iiiiiii>i"),
    ("enqueue", "iiiiiii>i"),
    ("call_wait", "iii>i"),
    ("call_result", "iii>i"),
    ("call_drop", "i>"),
    ("call_detach", "i>"),
    ("fetch_start", "iiiiii>i"),
    ("fetch_write", "iii>i"),
    ("fetch_head", "iii>i"),
    ("fetch_read", "iii>i"),
    ("fetch_drop", "i>"),
    ("log", "iii>i"),
    ("sha256", "iii>i"),
];

const OF_WASI: &[(&str, &str)] = &[
    ("args_get", "ii>i"),
    ("args_sizes_get", "ii>i"),
    ("environ_get", "ii>i"),
    ("environ_sizes_get", "ii>i"),
    ("clock_res_get", "ii>i"),
    ("clock_time_get", "iIi>i"),
    ("fd_advise", "iIIi>i"),
    ("fd_allocate", "iII>i"),
    ("fd_close", "i>i"),
    ("fd_datasync", "i>i"),
    ("fd_fdstat_get", "ii>i"),
    ("fd_fdstat_set_flags", "ii>i"),
    ("fd_fdstat_set_rights", "iII>i"),
    ("fd_filestat_get", "ii>i"),
    ("fd_filestat_set_size", "iI>i"),
    ("fd_filestat_set_times", "iIIi>i"),
    ("fd_pread", "iiiIi>i"),
    ("fd_prestat_get", "ii>i"),
    ("fd_prestat_dir_name", "iii>i"),
    ("fd_pwrite", "iiiIi>i"),
    ("fd_read", "iiii>i"),
    ("fd_readdir", "iiiIi>i"),
    ("fd_renumber", "ii>i"),
    ("fd_seek", "iIii>i"),
    ("fd_sync", "i>i"),
    ("fd_tell", "ii>i"),
    ("fd_write", "iiii>i"),
    ("path_create_directory", "iii>i"),
    ("path_filestat_get", "iiiii>i"),
    ("path_filestat_set_times", "iiiiIIi>i"),
    ("path_link", "iiiiiii>i"),
    ("path_open", "iiiiiIIii>i"),
    ("path_readlink", "iiiiii>i"),
    ("path_remove_directory", "iii>i"),
    ("path_rename", "iiiiii>i"),
    ("path_symlink", "iiiii>i"),
    ("path_unlink_file", "iii>i"),
    ("poll_oneoff", "iiii>i"),
    ("proc_exit", "i>"),
    ("proc_raise", "i>i"),
    ("sched_yield", ">i"),
    ("random_get", "ii>i"),
    ("sock_accept", "iii>i"),
    ("sock_recv", "iiiiii>i"),
    ("sock_send", "iiiii>i"),
    ("sock_shutdown", "ii>i"),
];

/// The calls of each iteration of a loop. Arguments are numbers or
///
/// - `P`: an address for results; `B`: a large range of zeros, of `L` bytes;
/// - `R`, `C`, `O`: the longest heads of a response, of a request to the function `F`, and of one
///   to another host, of `H` bytes each; `S`, `U`: short ones of the latter two, of `s` and `u`
///   bytes;
/// - `G`: the longest log record; `V`: 1,024 ranges of the largest size;
/// - `X`: the result of the previous call; `M`: a range that contains it.
pub(crate) const LOOPS: &[&str] = &[
    "request P L",
    "body_read P L",
    "request P 0; fd_write 1 V 1024 P; fd_write 2 V 1024 P; fd_read 0 V 1024 P; environ_get P P",
    "respond R H B L",
    "respond R L B L",
    "respond_begin R H; respond_write B L",
    "respond_begin R L",
    "context_err 0; context_remaining 0; context_cause 0 P L; context_values 0 P L",
    "context_value 0 B L P L",
    "context_value 0 B 128 P L",
    "context_sleep 0 0",
    "context_derive 0 1000000000",
    "context_derive 0 -1; context_cancel X B L",
    "context_derive X -1",
    "context_derive 0 -1; context_derive X -1; context_drop X",
    "context_with_value 0 F 6 B 4096",
    "context_with_value X F 6 B 4096; context_drop X",
    "context_with_value 0 B L B L",
    "context_without_cancel 0",
    "context_without_cancel X",
    "call 0 F 6 C H B L P L",
    "call 0 F 6 S s 0 0 P 0",
    "call 0 B L S s 0 0 P 0",
    "call 0 B 64 C H B L P 0",
    "call_start 0 F 6 C H B L",
    "call_start 0 F 6 S s B L",
    "call_start 0 F 6 C L 0 0",
    "enqueue 0 F 6 C H B L",
    "enqueue 0 B L S s 0 0",
    "call_start 0 B L S s 0 0",
    "call_start 0 B 64 S s B L; call_detach X",
    "call_start 0 F 6 C H 0 0; call_drop X",
    "call_start 0 F 6 S s 0 0; call_wait 0 M 1; call_result 1 P L; call_wait 0 B 4096",
    "fetch_start 0 0 O H B L",
    "fetch_start 0 0 O L B L",
    "fetch_start 0 0 U u B L; fetch_head X P L",
    "fetch_start 0 20 O H -1 -1; fetch_write X B L",
    "fetch_start 0 0 U u 0 0; fetch_read X P L; fetch_drop X",
    "log 1 G H",
    "log 1 B L",
    "sha256 P B L",
    "args_get P P; args_sizes_get P P; environ_get P P; environ_sizes_get P P",
    "clock_res_get 0 P; clock_time_get 0 0 P; sched_yield; random_get B L; random_get B 1048576",
    "fd_advise 3 0 -1 0; fd_allocate 3 0 -1; fd_close 4; fd_datasync 3; fd_fdstat_get 3 P",
    "fd_fdstat_set_flags 3 4; fd_fdstat_set_rights 3 -1 -1; fd_filestat_get 3 P",
    "fd_filestat_set_size 3 -1; fd_filestat_set_times 3 -1 -1 0; fd_pread 4 V 1024 0 P",
    "fd_prestat_get 3 P; fd_prestat_dir_name 3 P L; fd_pwrite 4 V 1024 0 P; fd_read 0 V 1024 P",
    "fd_readdir 3 B L 0 P; fd_renumber 3 4; fd_seek 4 0 0 P; fd_sync 3; fd_tell 4 P",
    "fd_write 1 V 1024 P; fd_write 2 V 1024 P",
    "path_create_directory 3 B L; path_filestat_get 3 0 B L P",
    "path_filestat_set_times 3 0 B L 0 0 0; path_link 3 0 B L 3 B L",
    "path_open 3 0 F 4 0 -1 -1 0 P; path_open 3 0 B L 0 -1 -1 0 P; fd_read 4 V 1024 P",
    "path_readlink 3 B L B L P; path_remove_directory 3 B L; path_rename 3 B L 3 B L",
    "path_symlink B L 3 B L; path_unlink_file 3 B L",
    "poll_oneoff B P 64 P",
    "proc_exit 1",
    "proc_raise 6",
    "sock_accept 3 0 P; sock_recv 3 V 1024 0 P P; sock_send 3 V 1024 0 P; sock_shutdown 3 3",
];

/// The iterations of a loop. With arguments as long as the guest's memory, that would be half a
/// gigabyte if the host kept them.
const TURNS: i32 = 80;

/// The addresses of the arguments.
const WRITABLE: i32 = 0x8000;
const RANGES: i32 = 0x10000;
const NAME: i32 = 0x18000;
const HANDLE: i32 = 0x18100;
const SHORT_CALL: i32 = 0x18200;
const SHORT_ORDER: i32 = 0x18300;
const RESPONSE: i32 = 0x20000;
const CALL: i32 = 0x40000;
const ORDER: i32 = 0x60000;
const RECORD: i32 = 0x80000;
pub(crate) const BIG: i32 = 0x100000;
const LENGTH: i32 = 6 << 20;
const HEAD: usize = 64 << 10;

/// The locals: the iteration, and the result of the last call.
const COUNT: u32 = 0;
const LAST: u32 = 1;

/// The calls of a loop: their names and arguments.
fn calls(turn: &str) -> impl Iterator<Item = (&str, Vec<&str>)> {
    turn.split("; ").map(|call| {
        let mut words = call.split(' ');
        (words.next().unwrap(), words.collect())
    })
}

/// A module that runs a loop `turns` times, with `memory` bytes of memory and a large range of
/// `length` bytes.
pub(crate) fn module(turn: &str, url: &str, turns: i32, memory: u64, length: i32) -> Vec<u8> {
    let (short_call, short_order) = (request_head("/", 60), request_head(url, 120));
    let mut module = Module::with_memory(memory >> 16);
    let range = [BIG, length].map(i32::to_le_bytes).concat();
    module.bytes(RANGES, &range.repeat(1_024)).bytes(NAME, b"callee");
    module.bytes(SHORT_CALL, &short_call).bytes(SHORT_ORDER, &short_order);
    module.bytes(RESPONSE, &response_head(HEAD)).bytes(CALL, &request_head("/", HEAD));
    module.bytes(ORDER, &request_head(url, HEAD)).bytes(RECORD, &record(HEAD));
    let imports: Vec<_> = calls(turn).map(|(name, _)| import(&mut module, name)).collect();
    module.code(2, |code| {
        times(code, COUNT, turns, |code| {
            for ((name, arguments), function) in calls(turn).zip(&imports) {
                let (_, parameters, results) = signature(name);
                assert_eq!(parameters.len(), arguments.len(), "{turn}");
                for (argument, kind) in arguments.iter().zip(&parameters) {
                    let number = match *argument {
                        "P" => WRITABLE,
                        "B" => BIG,
                        "L" => length,
                        "R" => RESPONSE,
                        "C" => CALL,
                        "O" => ORDER,
                        "H" => HEAD as i32,
                        "S" => SHORT_CALL,
                        "s" => short_call.len() as i32,
                        "U" => SHORT_ORDER,
                        "u" => short_order.len() as i32,
                        "F" => NAME,
                        "G" => RECORD,
                        "V" => RANGES,
                        "M" => HANDLE,
                        "X" => {
                            code.local_get(LAST);
                            continue;
                        }
                        number => number.parse().unwrap(),
                    };
                    match kind {
                        ValType::I64 => code.i64_const(number.into()),
                        _ => code.i32_const(number),
                    };
                }
                code.call(*function);
                match *results {
                    [] => {}
                    [ValType::I64] => {
                        code.drop();
                    }
                    _ => {
                        code.local_set(LAST).i32_const(HANDLE).local_get(LAST);
                        code.i32_store(MemArg { offset: 0, align: 2, memory_index: 0 });
                    }
                }
            }
        });
    });
    module.finish()
}

/// A log record of exactly `len` bytes.
fn record(len: usize) -> Vec<u8> {
    let start = fields(["message", "target"]);
    let rest = headers(len - start.len());
    [start, rest].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_import_exceeds_the_memory_budgets() -> Result<()> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("call"), vec![b'x'; 1 << 20])?;
    let upstream = Upstream::start(|_| ok(&"x".repeat(10_000))).await?;
    let mut growth = Growth::count().await;
    let runtime = runtime();
    let head = response_head(HEAD);
    runtime.deploy(function("callee", answering(&head)))?;
    for turn in LOOPS {
        let function = function("guest", module(turn, &upstream.url("/"), TURNS, MEMORY, LENGTH))
            .timeout(Duration::from_secs(2))
            .calls(["callee"])
            .allow_hosts(["127.0.0.1"])
            .fetches_at_once(2)
            .mount("/", folder.path());
        runtime.deploy(function)?;
        growth.restart();
        // The outcome does not matter: some loops end in a trap.
        let _ = timeout(Duration::from_secs(60), invoke(&runtime, "guest")).await?;
        let peak = growth.peak();
        // Its calls may hold as much as its memory, and so may two outgoing bodies.
        let most = 3 * MEMORY + SLACK;
        assert!(peak <= most, "`{turn}`: the host holds {peak} bytes, the most is {most}");
    }
    Ok(())
}

#[test]
fn every_import_is_called_and_documented() {
    let called: BTreeSet<_> =
        LOOPS.iter().flat_map(|turn| calls(turn)).map(|(name, _)| name).collect();
    let known = SIGNATURES.iter().flat_map(|(_, imports)| *imports);
    let known: BTreeSet<_> = known.map(|(name, _)| *name).collect();
    assert_eq!(called, known);
    for page in ["docs/limits.md", "docs/guest-interface.md"] {
        let text = std::fs::read_to_string(repository().join(page)).unwrap();
        let table = text.split_once("## Imports").unwrap().1.split("\n## ").next().unwrap();
        let rows = table.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
        let documented: BTreeSet<_> =
            rows.flat_map(|names| names.split(", ")).map(|name| name.trim_matches('`')).collect();
        assert_eq!(documented, known, "{page} lists other imports");
    }
}
