//! CGI programs that fail, or whose request or response is incomplete.

use std::io::ErrorKind;
use std::time::Duration;

use anyhow::Result;
use hourglass::{Body, Function, Outcome};
use hourglass_tests::host::{self, Host};
use hourglass_tests::{LONG, input, lines, modules};
use wasm_encoder::ValType;

use super::cgi::{asked, cgi, invoked};

/// A module that calls a WASI function, and exits with its result.
fn exiting(name: &str, arguments: [i32; 4]) -> Vec<u8> {
    let mut module = modules::Module::with_memory(1);
    let called = module.import(modules::WASI, name, modules::takes(4));
    let exit = module.import(modules::WASI, "proc_exit", (&[ValType::I32], &[]));
    module.bytes(0, &[0, 0, 0, 1, 16, 0, 0, 0]).bytes(16, &[16, 0, 0, 0, 16, 0, 0, 0]);
    module.code(0, |code| {
        for argument in arguments {
            code.i32_const(argument);
        }
        code.call(called).call(exit);
    });
    module.finish()
}

#[tokio::test]
async fn a_bad_descriptor_is_an_error_and_a_bad_pointer_traps() -> Result<()> {
    for name in ["fd_read", "fd_write"] {
        for (arguments, expected) in [
            ([7, 16, 1, 32], Some(8)),
            ([i32::from(name == "fd_write"), 0, 1, 32], None),
            ([i32::from(name == "fd_write"), 0x10_0000, 1, 32], None),
            ([i32::from(name == "fd_write"), 16, 1, -2], None),
        ] {
            let runtime = host::runtime([Function::from_bytes("raw", exiting(name, arguments))?]);
            let error = invoked(&runtime, "/raw", "body".into()).await.unwrap_err();
            match (error.outcome(), expected) {
                (Outcome::Exit(code), Some(expected)) => assert_eq!(*code, expected, "{name}"),
                (Outcome::Trap(_), None) => {}
                _ => panic!("{name} {arguments:?}: {error}"),
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_failure_before_any_output_is_a_problem_document() -> Result<()> {
    let host = Host::serve([cgi("cgi-fails")]).await?;
    for (way, status, outcome) in [("7", 500, "exit"), ("trap", 500, "trap")] {
        let answer = host.get(&format!("/cgi-fails/says/{way}")).await?;
        assert_eq!(answer.status(), status);
        let problem: serde_json::Value = serde_json::from_slice(answer.body())?;
        assert_eq!(problem["outcome"], outcome);
    }
    let answer = host.get("/cgi-fails/nothing").await?;
    assert_eq!(answer.status(), 502);
    let answer = host.get("/cgi-fails/says/0").await?;
    assert_eq!(answer.headers()["content-type"], "a/b");
    assert_eq!(answer.body(), b"something");
    let error = invoked(&host.runtime, "/cgi-fails/says/7", Body::empty()).await.unwrap_err();
    assert!(matches!(error.outcome(), Outcome::Exit(7)), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_failure_after_the_head_aborts_the_response() -> Result<()> {
    for way in ["7", "trap"] {
        let (_host, mut client) =
            asked(cgi(&format!("breaks-{way}")), &format!("waits/{way}"), "").await?;
        assert_eq!(client.head().await?.status(), 200);
        assert_eq!(client.piece().await?.unwrap(), b"a line\n");
        client.send("1\r\nx\r\n").await?;
        assert_eq!(client.piece().await.unwrap_err().kind(), ErrorKind::UnexpectedEof, "{way}");
    }
    Ok(())
}

#[tokio::test]
async fn the_deadline_aborts_a_response() -> Result<()> {
    for way in ["wait", "spin"] {
        let name = format!("late-{way}");
        let late = cgi(&name).timeout(Duration::from_secs(2)).grace(Duration::ZERO);
        let (host, mut client) = asked(late, &format!("waits/{way}"), "1\r\nx\r\n").await?;
        match client.head().await?.status().as_u16() {
            200 => {
                assert_eq!(client.piece().await?.unwrap(), b"a line\n");
                assert_eq!(
                    client.piece().await.unwrap_err().kind(),
                    ErrorKind::UnexpectedEof,
                    "{way}"
                );
            }
            // The program never waited before its deadline.
            status => assert_eq!((status, way), (504, "spin")),
        }
        assert_eq!(host.runtime.shutdown(LONG).await, 0);
    }
    Ok(())
}

#[tokio::test]
async fn a_response_to_an_incomplete_request_is_discarded() -> Result<()> {
    let short = Duration::from_millis(100);
    let runtime =
        host::runtime([cgi("cut").request_body(10), cgi("cgi-late").timeout(short).grace(LONG)]);
    let (feed, body) = input::fed();
    feed.give("half");
    let error = invoked(&runtime, "/cgi-late/ignores", body).await.unwrap_err();
    assert!(
        matches!(error.outcome(), Outcome::Done(hourglass::Done::DeadlineExceeded, _)),
        "{error}"
    );
    lines::told("cgi-late", "read 4 bytes, true").await;
    drop(feed);

    let (feed, body) = input::fed();
    feed.give("more than ten bytes");
    let error = invoked(&runtime, "/cut/ignores", body).await.unwrap_err();
    assert!(matches!(error.outcome(), Outcome::BodyTooLarge { limit: 10 }), "{error}");
    lines::told("cut", "read 0 bytes, false").await;

    let (host, mut client) = asked(cgi("cgi-left"), "ignores", "4\r\nhalf\r\n").await?;
    client.send("no chunk").await?;
    assert_eq!(client.head().await?.status(), 400);
    lines::told("cgi-left", "read 4 bytes, false").await;
    host::in_flight(&host.runtime, 0).await;
    Ok(())
}
