//! What a guest can observe: clocks and random numbers.

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
async fn a_guest_has_only_clocks_and_randomness() -> Result<()> {
    let host = Host::serve([function("nosy", "nosy")]).await?;
    let found = found(&host).await?;
    for nothing in ["folder", "here", "file", "new file", "network", "program", "thread"] {
        assert_eq!(found[nothing], "none", "{nothing}");
    }
    assert_eq!(found["arguments"], r#"["nosy"]"#);
    assert_eq!(found["variables"], "{}");
    assert_eq!(found["setting"], "None");
    assert_eq!(found["input"], r#"0 """#);
    assert_eq!(found["slept"], "true");
    assert!(found["year"].parse::<u32>()? >= 2025, "{}", found["year"]);
    Ok(())
}

#[tokio::test]
async fn a_guest_sees_only_its_own_settings() -> Result<()> {
    let nosy = function("nosy", "nosy").setting("GREETING", "hi").setting("KEY", "a=b\nc");
    assert!(!format!("{nosy:?}").contains("a=b"), "{nosy:?}");
    let host = Host::serve([nosy, function("other", "nosy")]).await?;
    for _ in 0..3 {
        let found = found(&host).await?;
        assert_eq!(found["variables"], r#"{"GREETING": "hi", "KEY": "a=b\nc"}"#);
        assert_eq!(found["setting"], r#"Some("hi")"#);
        let other = host.get("/other").await?;
        assert!(String::from_utf8(other.into_body())?.contains("variables: {}"));
    }
    let unusable = function("nosy", "nosy").setting("a=b", "hunter2");
    let error = host.runtime.deploy(unusable).unwrap_err().to_string();
    assert!(error.contains("`a=b` can't be a setting") && !error.contains("hunter2"), "{error}");
    Ok(())
}

#[tokio::test]
async fn random_numbers_differ_per_invocation() -> Result<()> {
    let host = Host::serve([function("nosy", "nosy")]).await?;
    let mut seen = Vec::new();
    for _ in 0..10 {
        let chance = found(&host).await?.remove("chance").unwrap();
        assert!(!seen.contains(&chance), "{chance} twice");
        seen.push(chance);
    }
    Ok(())
}
