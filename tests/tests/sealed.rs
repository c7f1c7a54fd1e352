//! What a guest finds of the world around it: the time, and chance.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;

use anyhow::Result;
use hourglass_tests::guests::function;
use hourglass_tests::host::Host;

async fn found(host: &Host) -> Result<BTreeMap<String, String>> {
    let answer = host.get("/nosy").await?;
    let text = String::from_utf8(answer.into_body())?;
    let pairs = text.lines().map(|line| line.split_once(": ").unwrap());
    Ok(pairs.map(|(what, is)| (what.to_owned(), is.to_owned())).collect())
}

#[tokio::test]
async fn a_guest_finds_nothing_but_time_and_chance() -> Result<()> {
    let host = Host::serve([function("nosy", "nosy")]).await?;
    let found = found(&host).await?;
    for nothing in ["folder", "here", "file", "new file", "network", "program", "thread"] {
        assert_eq!(found[nothing], "none", "{nothing}");
    }
    assert_eq!(found["arguments"], r#"["nosy"]"#);
    assert_eq!(found["variables"], "0");
    assert_eq!(found["input"], r#"0 """#);
    assert_eq!(found["slept"], "true");
    assert!(found["year"].parse::<u32>()? >= 2025, "{}", found["year"]);
    Ok(())
}

#[tokio::test]
async fn chance_is_another_every_time() -> Result<()> {
    let host = Host::serve([function("nosy", "nosy")]).await?;
    let mut seen = Vec::new();
    for _ in 0..10 {
        let chance = found(&host).await?.remove("chance").unwrap();
        assert!(!seen.contains(&chance), "{chance} twice");
        seen.push(chance);
    }
    Ok(())
}
