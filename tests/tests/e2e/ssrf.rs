//! Server-side request forgery: a function cannot reach the host itself, its network or cloud
//! metadata. Each row of the table is tried as a URL and as a redirect.

use anyhow::Result;
use hourglass_tests::guests::function;
use hourglass_tests::host::Host;
use hourglass_tests::upstream::{Upstream, ok, redirect};
use http::Request;

/// URLs of internal addresses in many notations. The function may fetch from `*`, which is any name
/// and any public address, and from `localhost` by its name.
const INSIDE: [&str; 48] = [
    // Loopback.
    "http://127.0.0.1/",
    "http://127.1.2.3:8080/",
    "http://localhost/",
    "http://LOCALHOST:9/",
    "http://localhost./",
    "https://localhost/",
    "http://[::1]/",
    "http://[0:0:0:0:0:0:0:1]/",
    // The unspecified address.
    "http://0.0.0.0/",
    "http://[::]/",
    "http://0/",
    // Shorter, decimal, octal and hexadecimal.
    "http://127.1/",
    "http://2130706433/",
    "http://017700000001/",
    "http://0177.0.0.1/",
    "http://0x7f000001/",
    "http://0x7f.0.0.1/",
    "http://0x7F.1/",
    "http://127.0.0.1./",
    // Digits of other scripts, and dots.
    "http://①②⑦.⓪.⓪.①/",
    "http://127。0。0。1/",
    "http://%31%32%37.0.0.1/",
    // IPv4 embedded in IPv6.
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[::ffff:10.0.0.1]/",
    "http://[::127.0.0.1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[2002:7f00:1::]/",
    "http://[2001:0:7f00:1::]/",
    // Private and local ranges.
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://172.31.255.255/",
    "http://192.168.0.1/",
    "http://100.64.0.1/",
    "http://169.254.1.1/",
    "http://[fe80::1]/",
    "http://[fc00::1]/",
    "http://[ff02::1]/",
    "http://224.0.0.1/",
    "http://255.255.255.255/",
    // Cloud metadata services.
    "http://169.254.169.254/latest/meta-data/",
    "http://2852039166/latest/meta-data/",
    "http://[::ffff:169.254.169.254]/",
    "http://[fd00:ec2::254]/",
    "http://100.100.100.200/",
    "http://192.0.0.192/",
    "http://168.63.129.16/",
    // The part before an `@` is not a host.
    "http://outside.invalid@127.0.0.1/",
];

/// URLs that parsers interpret differently.
const ODD: [&str; 8] = [
    "http://127.0.0.1\\@outside.invalid/",
    "http://outside.invalid\\@127.0.0.1/",
    "http://outside.invalid:80@127.0.0.1:80/",
    "http://127.0.0.1#@outside.invalid/",
    "http://127.0.0.1?@outside.invalid/",
    "http:127.0.0.1/",
    "http:///127.0.0.1/",
    "\thttp://127.0.0.1/",
];

/// Whether a failure's name says that no request was sent, or that only a public name was resolved.
fn is_refused(name: &[u8]) -> bool {
    [&b"forbidden"[..], b"bad-request", b"unresolved"].contains(&name)
}

#[tokio::test]
async fn no_url_reaches_internal_addresses() -> Result<()> {
    let asker = function("url", "fetcher").allow_hosts(["*", "localhost"]);
    let host = Host::serve([asker]).await?;
    let mut client = host.client().await?;
    for url in INSIDE.into_iter().chain(ODD) {
        let request = Request::get("/url/name").header("host", "x").header("x-url", url.as_bytes());
        let answer = client.request(&request.body("")?).await?;
        // An invalid URI does not leave the function.
        let refused = is_refused(answer.body()) || answer.status() == 500;
        assert!(refused, "{url}: {}", String::from_utf8_lossy(answer.body()));
    }
    Ok(())
}

#[tokio::test]
async fn no_redirect_reaches_internal_addresses() -> Result<()> {
    let upstream = Upstream::start(|head| {
        let place = head.split(' ').nth(1).and_then(|path| path[1..].parse::<usize>().ok());
        let location = place.and_then(|at| INSIDE.iter().chain(&ODD).nth(at));
        location.map_or_else(|| ok("here"), |location| redirect(302, location))
    })
    .await?;
    let hosts = ["*".to_owned(), "localhost".to_owned(), upstream.address.to_string()];
    let host = Host::serve([function("leads", "fetcher").allow_hosts(hosts)]).await?;
    let mut client = host.client().await?;
    for (place, location) in INSIDE.iter().chain(&ODD).enumerate() {
        let request = Request::get("/leads/follow/3")
            .header("host", "x")
            .header("x-url", upstream.url(&format!("/{place}")));
        let answer = client.request(&request.body("")?).await?;
        // A relative reference is a path at the redirecting host.
        let refused =
            is_refused(answer.body()) || [&b"redirect"[..], b"here"].contains(&&**answer.body());
        assert!(refused, "{location}: {}", String::from_utf8_lossy(answer.body()));
    }
    Ok(())
}

#[tokio::test]
async fn hosts_not_allowed_are_not_resolved() -> Result<()> {
    let upstream = Upstream::start(|_| ok("")).await?;
    let host = Host::serve([
        function("none", "fetcher"),
        function("other", "fetcher").allow_hosts(["https://127.0.0.1", "127.0.0.1:1", "*.test"]),
    ])
    .await?;
    let why = async |path: &str, url: &str| {
        let request = Request::get(path).header("host", "x").header("x-url", url).body("")?;
        let answer = host.client().await?.request(&request).await?;
        anyhow::Ok(String::from_utf8(answer.into_body())?)
    };
    let none = why("/none/why", &upstream.url("/")).await?;
    assert!(none.contains("its `allow_hosts` is empty"), "{none}");
    let other = why("/other/why", &upstream.url("/")).await?;
    let named = format!("`{}` is not among the function's `allow_hosts`", upstream.url(""));
    assert!(other.contains(&named), "{other}");
    for url in ["http://test/", "http://a.test.example/", "http://atest/"] {
        let other = why("/other/why", url).await?;
        assert!(other.contains("is not among"), "{url}: {other}");
    }
    Ok(())
}

#[tokio::test]
async fn the_server_is_not_a_proxy() -> Result<()> {
    let upstream = Upstream::start(|_| ok("the other host")).await?;
    let host = Host::serve([function("front", "echo")]).await?;
    for target in [upstream.url("/front"), "http://169.254.169.254/front".to_owned()] {
        let mut client = host.client().await?;
        let head = format!("POST {target} HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nhere");
        client.send(head).await?;
        let answer = client.answer(&http::Method::POST).await?;
        assert_eq!((answer.status().as_u16(), &**answer.body()), (200, &b"here"[..]), "{target}");
    }
    Ok(())
}
