//! Guest output in the host's log.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Result;
use hourglass_tests::client::Client;
use hourglass_tests::guests::{self, function, module};
use hourglass_tests::host::{self, Host};
use hourglass_tests::lines::{self, Line};
use hourglass_tests::modules::{self, CONTEXT, Module, takes};
use hourglass_tests::program::{self, Serving};
use http::Request;
use serde_json::{Value, json};
use tracing::Level;
use wasm_encoder::MemArg;

/// The guest's fields in the text format.
const FIELDS: &str = r#"user=ada note="two words\n" n=-1.5 count=3 new=true "\u{202e}"="?""#;

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Serves the guest under test with a log format.
fn serve(format: &str) -> Result<Serving> {
    let module = module("chatty").to_str().unwrap();
    let arguments = ["serve", module, "--listen", "127.0.0.1:0", "--log-format", format];
    let program = env!("CARGO_BIN_EXE_hourglass-under-test");
    let mut command: Command = program::command(program, &arguments);
    Ok(Serving::start(&mut command)?)
}

/// Invokes a guest, and returns its log lines in order.
async fn said(function: &str, path: &str) -> Result<Vec<Line>> {
    let host = Host::serve([guests::function(function, "chatty")]).await?;
    host.get(&format!("/{function}/{path}")).await?;
    Ok(lines::of(function))
}

fn texts(lines: &[Line]) -> Vec<&str> {
    lines.iter().map(|line| &*line.text).collect()
}

#[tokio::test]
async fn a_line_names_its_source() -> Result<()> {
    let host = Host::serve([function("placed", "chatty")]).await?;
    let request = Request::get("/placed/plain").header("traceparent", TRACE);
    let answer = host.client().await?.request(&request.body("")?).await?;
    let id = answer.headers()["x-request-id"].to_str()?;
    let lines = lines::of("placed");
    // An unterminated line on standard output ends with the program.
    assert_eq!(texts(&lines), ["the first", "the second  ", "an error", "", "in parts"]);
    let streams: Vec<_> = lines.iter().map(|line| line.field("stream").unwrap()).collect();
    assert_eq!(streams, ["stdout", "stdout", "stderr", "stdout", "stdout"]);
    for line in &lines {
        assert_eq!(line.level, Level::INFO);
        assert_eq!(line.field("request_id"), Some(id));
        assert_eq!(line.field("trace_id"), Some("0af7651916cd43dd8448eb211c80319c"));
        let span = line.field("span_id").unwrap();
        assert!(span.len() == 16 && span != "b7ad6b7169203331", "{span}");
        assert_eq!(line.field("span_id"), lines[0].field("span_id"));
    }
    Ok(())
}

#[tokio::test]
async fn an_unterminated_line_is_logged_when_the_guest_ends() -> Result<()> {
    assert_eq!(texts(&said("exiting", "drop").await?), ["no end of a line"]);
    Ok(())
}

#[tokio::test]
async fn a_guest_cannot_forge_lines() -> Result<()> {
    let lines = said("forging", "hostile").await?;
    let expected = [
        r"all is well\r2026-01-01T00:00:00Z ERROR hourglass: forged\u{1b}[2K\u{2028}x\u{202e}",
        "quotes \" \\ } , \\u{0} and \u{fffd}\u{fffd} no text",
        r#""},{"forged":true}"#,
        r"a message\nof two lines\u{61c}",
    ];
    assert_eq!(texts(&lines), expected);
    Ok(())
}

#[tokio::test]
async fn the_log_of_an_invocation_is_limited() -> Result<()> {
    let lines = said("flooding", "flood").await?;
    let (marks, printed): (Vec<_>, Vec<_>) =
        lines.iter().partition(|line| line.level == Level::WARN);
    assert!((300..650).contains(&printed.len()), "{} lines", printed.len());
    for (number, line) in printed.iter().enumerate() {
        assert_eq!(line.text, format!("{number:>99}"));
    }
    let [cut, end] = *marks else { panic!("{marks:?}") };
    assert!(cut.text.contains("further output of the invocation is left out"), "{cut:?}");
    let left_out: usize = end.field("left_out").unwrap().parse()?;
    assert_eq!(left_out, (1_000 - printed.len()) * 99);
    Ok(())
}

/// The limits apply after escaping, which may make the text six times as long.
#[tokio::test]
async fn escaped_bytes_count_as_logged() -> Result<()> {
    for way in ["flood-escaped", "flood-logger"] {
        let lines = said(way, way).await?;
        let (marks, said): (Vec<_>, Vec<_>) =
            lines.iter().partition(|line| line.level == Level::WARN);
        let logged: usize = said.iter().map(|line| taken(line)).sum();
        assert!((40 << 10..=64 << 10).contains(&logged), "{way}: {logged} bytes");
        let [_, end] = *marks else { panic!("{marks:?}") };
        let left_out: usize = end.field("left_out").unwrap().parse()?;
        // The omitted amount is counted before escaping.
        let each = if way == "flood-escaped" { 99 } else { 99 + "bell".len() };
        assert_eq!(left_out, (1_000 - said.len()) * each, "{way}");
    }
    Ok(())
}

/// The guest's bytes of a line after escaping.
fn taken(line: &Line) -> usize {
    let module = line.field("module").map_or(0, |module| format!("{module:?}").len());
    line.text.len() + module + line.field("fields").map_or(0, str::len)
}

#[tokio::test]
async fn the_log_rate_of_a_function_is_limited() -> Result<()> {
    drown("drowning", "flood").await
}

#[tokio::test]
async fn the_log_rate_counts_escaped_bytes() -> Result<()> {
    drown("drowning-escaped", "flood-escaped").await
}

/// Invokes the guest until one second's limit is reached, and then until the next second reports
/// what was omitted.
async fn drown(function: &str, way: &str) -> Result<()> {
    let host = Host::serve([guests::function(function, "chatty")]).await?;
    let begun = Instant::now();
    let found = |text: &str| lines::of(function).iter().any(|line| line.text.contains(text));
    let mut client = host.client().await?;
    let mut invocations = 0;
    while !found("in the rest of this second is left out") {
        assert!(begun.elapsed() < Duration::from_secs(60), "{invocations} were not enough");
        client.get(&format!("/{function}/{way}")).await?;
        invocations += 1;
    }
    while !found("exceeded its limit on log output per second") {
        assert!(begun.elapsed() < Duration::from_secs(60), "the amount left out is never logged");
        client.get(&format!("/{function}/plain")).await?;
    }
    let lines = lines::of(function);
    let told =
        lines.iter().find(|line| line.text.contains("exceeded its limit on log output per second"));
    assert!(told.unwrap().field("left_out").unwrap().parse::<u64>()? > 0);
    let logged: usize = lines.iter().map(|line| line.text.len()).sum();
    // The first and the last second may be incomplete.
    let seconds = begun.elapsed().as_secs() as usize + 2;
    assert!(logged <= seconds * (257 << 10), "{logged} bytes in {seconds} s");
    Ok(())
}

#[tokio::test]
async fn a_guest_logger_has_levels_targets_and_fields() -> Result<()> {
    let host = Host::serve([function("leveled", "chatty")]).await?;
    let answer = host.get("/leveled/levels").await?;
    // The recorder's level is INFO, and the guest sends nothing below it.
    assert_eq!(answer.body(), b"INFO");
    let lines = lines::of("leveled");
    assert_eq!(texts(&lines), ["an error", "a warning", "with fields"]);
    let levels: Vec<_> = lines.iter().map(|line| line.level).collect();
    assert_eq!(levels, [Level::ERROR, Level::WARN, Level::INFO]);
    let modules: Vec<_> = lines.iter().map(|line| line.field("module").unwrap()).collect();
    assert_eq!(modules, ["chatty", "elsewhere", "chatty"]);
    assert_eq!(lines[0].field("fields"), None);
    assert_eq!(lines[2].field("fields"), Some(FIELDS));
    assert!(lines.iter().all(|line| line.field("request_id").is_some()));
    Ok(())
}

#[tokio::test]
async fn a_long_message_is_truncated() -> Result<()> {
    let lines = said("long", "long").await?;
    let [line] = &*lines else { panic!("{} lines", lines.len()) };
    assert_eq!(line.text.chars().filter(|&char| char == 'x').count(), 8 << 10);
    assert!(line.text.ends_with("x\u{2026}"));
    Ok(())
}

/// A guest that uses the host's logger is still reset, and each invocation initializes its logger.
#[tokio::test]
async fn a_guest_with_a_logger_is_reset_in_place() -> Result<()> {
    let runtime = host::builder().build()?;
    let fresh = runtime.deploy(function("reset-chatty", "chatty"))?;
    assert_eq!(fresh, hourglass::InstanceReuse::ResetInPlace);
    for times in 1..=3 {
        let request = hourglass::Request::new("".into());
        let (mut head, body) = request.into_parts();
        head.uri = "/levels".parse()?;
        let request = hourglass::Request::from_parts(head, body);
        runtime.invoke(&hourglass::Context::background(), "reset-chatty", request).await?;
        assert_eq!(lines::count("reset-chatty", "a warning"), times);
    }
    Ok(())
}

/// A module that logs one record and responds with the host's result.
fn logging(level: i32, record: &[u8], ptr: i32, len: i32) -> Vec<u8> {
    let mut module = Module::with_memory(1);
    let respond = module.import(CONTEXT, "respond", takes(4));
    let log = module.import(CONTEXT, "log", takes(3));
    let head = modules::head(200, &[]);
    module.bytes(0, &head).bytes(64, record);
    module.code(0, |code| {
        let place = MemArg { offset: 0, align: 2, memory_index: 0 };
        code.i32_const(32).i32_const(level).i32_const(ptr).i32_const(len);
        code.call(log).i32_store(place);
        code.i32_const(0).i32_const(head.len() as i32).i32_const(32).i32_const(4);
        code.call(respond).drop();
    });
    module.finish()
}

#[tokio::test]
async fn malformed_records_are_refused() -> Result<()> {
    let field = |text: &[u8]| [&(text.len() as u32).to_le_bytes(), text].concat();
    let record = [&*field(b"half \xff text"), &field(b"t"), &0_u32.to_le_bytes()].concat();
    let endless = [&*field(b""), &field(b""), &u32::MAX.to_le_bytes()].concat();
    let len = record.len() as i32;
    let runtime = host::runtime([]);
    for (level, bytes, ptr, len, said) in [
        (0, &record, -1, -1, Some(3)),
        (3, &record, 64, len, Some(3)),
        (5, &record, 64, len, Some(3)),
        (6, &record, 64, len, Some(-4)),
        (-1, &record, 64, len, Some(-4)),
        (3, &record, 64, len - 1, Some(-4)),
        (3, &record, 64, len + 1, Some(-4)),
        (3, &endless, 64, endless.len() as i32, Some(-4)),
        (3, &record, 65_000, 1_000, None),
        (3, &record, 64, -1, None),
    ] {
        let module = logging(level, bytes, ptr, len);
        runtime.deploy(hourglass::Function::from_bytes("careful", module)?)?;
        let (ctx, request) = (hourglass::Context::background(), hourglass::Request::default());
        let heard = match runtime.invoke(&ctx, "careful", request).await {
            Ok(response) => Some(response.into_body().bytes().await.unwrap()),
            Err(error) => {
                assert_eq!(error.outcome().name(), "trap", "{error}");
                None
            }
        };
        let heard = heard.map(|body| i32::from_le_bytes(*body.first_chunk().unwrap()));
        assert_eq!(heard, said, "level {level}, {len} bytes at {ptr}");
    }
    assert_eq!(texts(&lines::of("careful")), ["half \u{fffd} text"]);
    Ok(())
}

#[tokio::test]
async fn json_logs_have_one_object_per_line() -> Result<()> {
    let serving = serve("json")?;
    let mut client = Client::connect(serving.address).await?;
    for path in ["hostile", "levels"] {
        let request = Request::get(format!("/chatty/{path}")).header("traceparent", TRACE);
        client.request(&request.body("")?).await?;
    }
    let told = serving.told("with fields");
    let lines: Vec<Value> = told.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let of_guest: Vec<_> =
        lines.iter().filter(|line| line["target"] == "hourglass::guest").collect();
    assert_eq!(of_guest.len(), 7, "{told}");
    for line in &of_guest {
        assert_eq!(line["function"], "chatty");
        for field in ["timestamp", "level", "message", "request_id", "trace_id", "span_id"] {
            assert!(line[field].is_string(), "{field}: {line}");
        }
        assert!(line["stream"].is_string() != line["module"].is_string(), "{line}");
        assert_eq!(line.get("forged"), None);
    }
    assert_eq!(of_guest[2]["message"], r#""},{"forged":true}"#);
    let fields = serde_json::json!({
        "user": "ada", "note": "two words\n", "n": -1.5, "count": 3, "new": true, "\u{202e}": "?",
    });
    assert_eq!(of_guest[6]["fields"], fields);
    Ok(())
}

#[tokio::test]
async fn tracing_events_are_logged_with_their_span_fields() -> Result<()> {
    let serving = serve("json")?;
    let mut client = Client::connect(serving.address).await?;
    assert_eq!(client.get("/chatty/traced").await?.status(), 200);
    let told = serving.told("outside");
    let lines: Vec<Value> = told.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let of_guest = lines.iter().filter(|line| line["target"] == "hourglass::guest");
    let said: Vec<_> = of_guest
        .map(|line| {
            let module = line["module"].as_str().unwrap();
            (line["level"].clone(), line["message"].clone(), module, line["fields"].clone())
        })
        .collect();
    let path = "/chatty/traced";
    let warning = json!({ "path": path, "user": "bob", "count": 3, "price": 1.5, "gone": true });
    let error = json!({
        "path": path, "user": "ada", "total": 7, "error": "\u{1b}[2Jfull", "forged": "\"}\n{",
    });
    let expected = [
        ("WARN".into(), r"in\ntwo".into(), "shop", warning),
        ("ERROR".into(), "failed".into(), "chatty", error),
        ("INFO".into(), "outside".into(), "chatty", Value::Null),
    ];
    assert_eq!(said, expected, "{told}");
    Ok(())
}

#[tokio::test]
async fn a_failure_logs_one_guest_and_one_host_record() -> Result<()> {
    let serving = serve("json")?;
    let mut client = Client::connect(serving.address).await?;
    for (way, status) in [("panic", 500), ("error", 500), ("unavailable", 503), ("levels", 200)] {
        assert_eq!(client.get(&format!("/chatty/{way}")).await?.status(), status, "{way}");
    }
    let told = serving.told("with fields");
    let lines: Vec<Value> = told.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let of = |target: &str| {
        lines.iter().filter(|line| line["target"] == target).cloned().collect::<Vec<_>>()
    };
    let [panic, error, ..] = &*of("hourglass::guest") else { panic!("{told}") };
    let message = panic["message"].as_str().unwrap();
    assert!(message.starts_with("panicked at ") && message.ends_with(": as requested"));
    assert!(panic["fields"]["file"].as_str().unwrap().ends_with("main.rs"), "{panic}");
    assert!(panic["fields"]["line"].is_u64(), "{panic}");
    assert_eq!((&panic["level"], &error["level"]), (&"ERROR".into(), &"ERROR".into()));
    assert_eq!(error["message"], "the disk is full");
    assert_eq!(of("hourglass::guest").len(), 5, "{told}");
    let outcomes: Vec<_> = of("hourglass::log")
        .iter()
        .map(|line| (line["level"].clone(), line["outcome"].clone(), line["status"].clone()))
        .collect();
    let expected = [("trap", 500), ("response", 500), ("response", 503)]
        .map(|(outcome, status)| ("WARN".into(), outcome.into(), status.into()));
    assert_eq!(outcomes, expected, "{told}");
    Ok(())
}

#[tokio::test]
async fn text_logs_have_one_line_per_record() -> Result<()> {
    let serving = serve("text")?;
    let mut client = Client::connect(serving.address).await?;
    for path in ["hostile", "levels"] {
        client.get(&format!("/chatty/{path}")).await?;
    }
    let told = serving.told("with fields");
    let lines: Vec<_> = told.lines().filter(|line| line.contains("function=")).collect();
    assert_eq!(lines.len(), 7, "{told}");
    for line in &lines {
        assert!(line.contains(" hourglass::guest: "), "{line}");
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }
    let with_fields = r#"with fields function="chatty" request_id=""#;
    assert!(lines[6].contains(with_fields), "{told}");
    assert!(lines[6].ends_with(&format!(r#"module="chatty" fields={FIELDS}"#)), "{told}");
    Ok(())
}
