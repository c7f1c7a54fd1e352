//! Screens, as text.

use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::KeyCode;
use ratatui::style::Color;

use super::*;
use crate::cli::top::keys;
use crate::cli::top::model::requests::List;
use crate::cli::top::state::Answer;
use crate::http::admin::client::answers::{
    Changes, FunctionDetails, FunctionOverview, Invocation, LogLine, Overview, Recording, Span,
    Summary,
};
use crate::http::admin::client::events::Event;

/// The host's time, in milliseconds.
const NOW: f64 = 1.7e12;

/// A state to draw, and when.
struct Shown {
    state: State,
    at: Instant,
    is_colored: bool,
}

impl Shown {
    fn new() -> Self {
        let (state, at) = (State::new("127.0.0.1:9090".to_owned()), Instant::now());
        Self { state, at, is_colored: false }
    }

    /// With two overviews, two seconds apart.
    fn loaded() -> Self {
        let mut shown = Self::new();
        shown.apply(Event::Overview(overview(0.0)));
        shown.apply(Event::Overview(overview(2.0)));
        shown
    }

    fn apply(&mut self, event: Event) {
        self.state.apply(event, self.at);
    }

    fn press(&mut self, keys: &str) {
        for char in keys.chars() {
            let code = if char == '\n' { KeyCode::Enter } else { KeyCode::Char(char) };
            keys::press(&mut self.state, code.into());
        }
    }

    fn buffer(&mut self, width: u16, height: u16) -> Buffer {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal");
        let theme = Theme { is_colored: self.is_colored };
        let drawn = terminal.draw(|frame| draw(frame, &mut self.state, theme, self.at));
        drawn.expect("it is drawn").buffer.clone()
    }

    /// The lines of the screen, without the spaces at their ends.
    fn lines(&mut self, width: u16, height: u16) -> Vec<String> {
        let buffer = self.buffer(width, height);
        let row = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
        (0..height).map(|y| row(y).trim_end().to_owned()).collect()
    }

    /// Compares the screen below the first `skip` lines, and without the last
    /// line, and without the spaces around it.
    #[track_caller]
    fn assert(&mut self, (width, height): (u16, u16), skip: usize, expected: &str) {
        let lines = self.lines(width, height);
        let shown = lines[skip..lines.len() - 1].join("\n");
        assert_eq!(shown.trim(), expected.trim(), "\n{shown}\n");
    }
}

fn overview(second: f64) -> Overview {
    let function = |name: &str, responses: f64, traps: u64| FunctionOverview {
        name: name.into(),
        in_flight: 1,
        outcomes: [("response".into(), (responses * second) as u64), ("trap".into(), traps)].into(),
        cpu_seconds: second / 4.0,
        peak_memory: 1_179_648,
        latency: vec![(Some(128.0), 98), (Some(2_048.0), 2)],
        ..FunctionOverview::default()
    };
    Overview {
        now: NOW + second * 1e3,
        version: "0.1.0".into(),
        in_flight: 12,
        max_in_flight: 1_000,
        contexts: 40,
        connections: 64,
        cores: 2,
        cpu_seconds: second,
        resident_bytes: 117 << 20,
        rejections: [("busy".into(), 3)].into(),
        functions: vec![function("hello", 50.0, 0), function("", 2.0, 7)],
        ..Overview::default()
    }
}

fn live() -> Event {
    let one = |id, parent, function: &str, left: f64| Invocation {
        id,
        parent,
        function: function.into(),
        request_id: Some(format!("r-{id}").into()),
        started: NOW - 2e3,
        deadline: Some(NOW + left),
        ..Invocation::default()
    };
    let done = Invocation {
        done: Some("deadline-exceeded".into()),
        cause: Some("deadline-exceeded".into()),
        ..one(9, Some(7), "stuck", -10.0)
    };
    let forever = Invocation { deadline: None, ..one(11, None, "ticker", 0.0) };
    let started = vec![one(7, None, "caller", 2e3), one(8, Some(7), "stuck", 6e3), done, forever];
    Event::Live(Changes { now: NOW, started, ..Changes::default() })
}

fn summary(id: u64, outcome: &str, status: u16) -> Summary {
    Summary {
        id: Some(id),
        function: "hello".into(),
        method: Some("GET".into()),
        path: Some(format!("/hello/{id}").into()),
        started: NOW - 3e3,
        duration_us: 1_234.5,
        outcome: outcome.into(),
        status: Some(status),
        is_failed: outcome != "response" || status >= 500,
        ..Summary::default()
    }
}

fn recording() -> Recording {
    let root = Span {
        id: 7,
        kind: "invocation".into(),
        name: "caller".into(),
        end_us: 1_000.0,
        checkout_us: 100.0,
        grace_us: 200.0,
        deadline_us: Some(800.0),
        done_us: Some(800.0),
        done: Some("deadline-exceeded".into()),
        cause: Some("deadline-exceeded".into()),
        outcome: "deadline-exceeded".into(),
        status: Some(504),
        peak_memory: 1 << 20,
        ..Span::default()
    };
    let call = Span {
        id: 8,
        parent: Some(7),
        kind: "invocation".into(),
        name: "hello".into(),
        start_us: 200.0,
        queue_us: 100.0,
        end_us: 500.0,
        outcome: "response".into(),
        status: Some(200),
        ..Span::default()
    };
    let log = LogLine {
        at_us: 250.0,
        span: Some(8),
        level: "WARN".into(),
        source: "stderr".into(),
        text: "low \u{1b}[2J on\tink".into(),
    };
    let summary =
        Summary { cause: Some("deadline-exceeded".into()), ..summary(7, "deadline-exceeded", 504) };
    // The root ends last.
    Recording { summary, spans: vec![call, root], logs: vec![log], left_out: 3 }
}

const SMALL: (u16, u16) = (60, 15);

#[test]
fn the_overview() {
    let mut shown = Shown::loaded();
    shown.assert(
        (100, 15),
        0,
        "\
hourglass 0.1.0 at 127.0.0.1:9090  connected
Ended/s   52.0                                                █  p50   97µs  p95  126µs  p99  1.5ms
In flight █░░░░░░░░░░░░░░░░░░░ 12 of 1000  rejected 3 (0/s)
CPU 100% of 200%  memory 117MiB  contexts 40  connections 64
 1 Functions  2 Live (0)  3 Recent  4 Slowest  5 Failed
FUNCTION                              RATE/s▾   LIVE     P50     P95     P99  FAILED    CPU   MEMORY
hello                                    50.0      1    97µs   126µs   1.5ms       0    25%   1.1MiB
(unnamed)                                 2.0      1    97µs   126µs   1.5ms       7    25%   1.1MiB",
    );
}

#[test]
fn a_small_screen_has_the_most_important_columns() {
    let mut shown = Shown::loaded();
    shown.assert(
        SMALL,
        5,
        "\
FUNCTION              RATE/s▾   LIVE     P50     P99  FAILED
hello                    50.0      1    97µs   1.5ms       0
(unnamed)                 2.0      1    97µs   1.5ms       7",
    );
}

#[test]
fn invocations_stand_below_their_callers() {
    let mut shown = Shown::loaded();
    shown.press("2");
    shown.apply(live());
    shown.assert(
        (100, 15),
        5,
        "\
 ID▾ FUNCTION                            AGE    LEFT            STATE               REQUEST
   7 ▾ caller                           2.0s    2.0s █████░░░░░ running             r-7
   8     stuck                          2.0s    6.0s ████████░░ running             r-8
   9     stuck                          2.0s    done ▒▒▒▒▒▒▒▒▒▒ deadline-exceeded   r-9
  11   ticker                           2.0s       - no limit   running             r-11",
    );
}

#[test]
fn bars_run_down() {
    let mut shown = Shown::loaded();
    shown.press("2");
    shown.apply(live());
    let bar = |shown: &mut Shown| shown.lines(60, 15)[6].matches('█').count();
    assert_eq!(bar(&mut shown), 5);
    shown.at += Duration::from_secs(1);
    assert_eq!(bar(&mut shown), 3);
    shown.at += Duration::from_secs(5);
    assert_eq!(bar(&mut shown), 0);
}

#[test]
fn requests_have_their_outcomes() {
    let mut shown = Shown::loaded();
    shown.press("3");
    shown.apply(Event::Recorded(vec![summary(1, "response", 200), summary(2, "trap", 500)]));
    shown.assert(
        (100, 15),
        5,
        "\
 ENDED    TOOK STATUS OUTCOME            FUNCTION             METHOD PATH
    4s   1.2ms    500 trap               hello                GET    /hello/2
    4s   1.2ms    200 response           hello                GET    /hello/1",
    );
    shown.press("5");
    let lines = shown.lines(60, 15);
    assert!(lines[6].contains("trap") && lines[7].is_empty(), "{lines:#?}");
    shown.press("/nothing\n");
    assert_eq!(shown.lines(60, 15)[6], "no request fits the filter");
}

#[test]
fn a_waterfall_shows_a_request_over_time() {
    let mut shown = Shown::loaded();
    shown.state.answer(Answer::Request(7, Some(recording())));
    shown.assert(
        SMALL,
        1,
        "\
hello  GET /hello/7  deadline-exceeded 504 in 1.2ms
cause deadline-exceeded  3 spans and lines left out
SPAN                  TIME   0                       │ 1.0ms
✗caller                1.0ms ░░░█████████████████████◆▒▒▒▒▒▒
   hello               300µs       ···███████
   250µs WARN        stderr low \\u{1b}[2J on ink




invocation caller: deadline-exceeded 504, done at 800µs
(cause: deadline-exceeded), checkout 100µs, run 700µs, grace
· queue  ░ checkout  █ run  ▒ grace  │ deadline  ◆ done",
    );
    shown.press("jj");
    let lines = shown.lines(60, 15);
    assert!(lines.iter().any(|line| line == r"low \u{1b}[2J on ink"), "{lines:#?}");
}

#[test]
fn a_function_shows_its_limits() {
    let mut shown = Shown::loaded();
    let details = FunctionDetails {
        name: "hello".into(),
        kind: "function".into(),
        instances: Some("reset in place".into()),
        limits: [("timeout".into(), "10s".into())].into(),
        routes: vec!["/a".into(), "/b".into()],
        ..FunctionDetails::default()
    };
    shown.state.answer(Answer::Function("hello".into(), Some(details)));
    let lines = shown.lines(80, 30);
    for line in [
        "response          100",
        "trap              0",
        "instances         reset in place",
        "timeout           10s",
        "routes            /a /b",
        "environment       -",
    ] {
        assert!(lines.iter().any(|shown| shown == line), "{line}: {lines:#?}");
    }
    // The end stays at the lower edge.
    shown.press("G");
    assert!(shown.lines(60, 15)[13].starts_with("environment"));
}

#[test]
fn a_cancellation_names_what_ends_with_it() {
    let mut shown = Shown::loaded();
    shown.apply(live());
    shown.press("2x");
    shown.assert(
        SMALL,
        5,
        "\
 I┌ Cancel ──────────────────────────────────────────────┐
  │Cancel invocation 7 of caller and 2 invocations below │
  │it?                                                   │
  │                                                      │
  └ y: yes, any other key: no ───────────────────────────┘",
    );
    assert_eq!(shown.state.mode, Mode::Confirm(7));
}

#[test]
fn the_help_fits_a_small_screen() {
    let mut shown = Shown::loaded();
    shown.press("?");
    let lines = shown.lines(60, 15).join("\n");
    for text in ["Keys", "1-5, Tab", "cancel an invocation and all below it", "q, Ctrl-C     quit"]
    {
        assert!(lines.contains(text), "{text}:\n{lines}");
    }
}

#[test]
fn a_lost_host_is_reported_and_stays_visible() {
    let mut shown = Shown::loaded();
    shown.state.model.disconnect("nothing listens on 127.0.0.1:9090".to_owned());
    let lines = shown.lines(100, 15);
    assert!(lines[0].ends_with("disconnected: nothing listens on 127.0.0.1:9090"), "{lines:#?}");
    assert!(lines[6].starts_with("hello"), "{lines:#?}");
}

#[test]
fn without_colors_only_their_words_remain() {
    let is_colored = |is_colored| {
        let mut shown = Shown { is_colored, ..Shown::loaded() };
        shown.apply(Event::Recorded(vec![summary(2, "trap", 500)]));
        shown.press("3");
        let buffer = shown.buffer(100, 20);
        buffer.content.iter().any(|cell| (cell.fg, cell.bg) != (Color::Reset, Color::Reset))
    };
    assert!(is_colored(true) && !is_colored(false));
}

#[test]
fn no_size_is_a_danger() {
    let mut shown = Shown::loaded();
    shown.apply(live());
    shown.apply(Event::Recorded(vec![summary(1, "response", 200)]));
    for keys in ["1", "2", "2x", "?", "\n3", "3/abc", "\n5"] {
        shown.press(keys);
        for size in [(0, 0), (1, 1), (5, 30), (200, 2), (60, 15), (300, 100)] {
            shown.buffer(size.0, size.1);
        }
    }
    shown.state.answer(Answer::Request(7, Some(recording())));
    for size in [(0, 0), (1, 1), (5, 30), (20, 9), (200, 2), (300, 100)] {
        shown.buffer(size.0, size.1);
    }
}

#[test]
fn a_list_of_the_host_replaces_the_known_one() {
    let mut shown = Shown::loaded();
    shown.press("4");
    shown.state.answer(Answer::Requests(List::Slowest, vec![summary(3, "exit", 500)]));
    assert!(shown.lines(60, 15)[6].contains("exit"));
    shown.state.answer(Answer::Request(3, None));
    assert_eq!(shown.lines(60, 15)[14], "request 3 is not kept any more");
}
