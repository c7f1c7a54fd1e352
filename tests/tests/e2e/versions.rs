//! Versions of functions in the library: deploys, rollbacks, canaries.

use anyhow::Result;
use hourglass::{Context, DeployError, Function, Outcome, Runtime, VersionError};
use hourglass_tests::process::{self, Holdings};
use hourglass_tests::{host, input, modules};
use http::Request;

/// The number of deploys. The runtime retains a few of them.
const DEPLOYS: u16 = 200;

/// A function whose responses have its number.
fn numbered(name: &str, number: u16) -> Result<Function> {
    let head = modules::head(200, &[("x-number", &number.to_string())]);
    Ok(Function::from_bytes(name, modules::responding(&head, 1, |_| ()))?)
}

async fn ask(runtime: &Runtime, name: &str) -> Result<u16> {
    let answer = runtime.invoke(&Context::background(), name, Request::new("")).await?;
    Ok(answer.headers()["x-number"].to_str()?.parse()?)
}

/// The ids of the versions, with their percentages.
fn shares(runtime: &Runtime, name: &str) -> Vec<(String, u8)> {
    let versions = runtime.versions(name).into_iter();
    versions.map(|version| (version.version.to_string(), version.percent)).collect()
}

#[tokio::test]
async fn a_rollback_returns_to_a_version_with_its_settings() -> Result<()> {
    let runtime = host::runtime([]);
    assert!(runtime.versions("f").is_empty() && runtime.with_module("f", []).is_none());
    let none = VersionError::NotDeployed { function: "f".to_owned() };
    assert_eq!(runtime.rollback("f", None), Err(none.clone()));
    assert_eq!(runtime.set_canary("f", 10), Err(none));

    runtime.deploy(numbered("f", 1)?.request_body(1))?;
    assert_eq!(
        runtime.rollback("f", None),
        Err(VersionError::NoEarlier { function: "f".to_owned() })
    );
    let [first] = &shares(&runtime, "f")[..] else { panic!("one version is deployed") };
    runtime.deploy(numbered("f", 2)?)?;
    assert_eq!(ask(&runtime, "f").await?, 2);
    assert_eq!(*runtime.rollback("f", None)?, *first.0);
    assert_eq!(ask(&runtime, "f").await?, 1);
    let too_long = runtime.invoke(&Context::background(), "f", Request::new("ab")).await;
    assert!(matches!(too_long.unwrap_err().outcome(), Outcome::BodyTooLarge { limit: 1 }));

    // A failed deploy changes nothing.
    let before = runtime.versions("f");
    assert!(runtime.deploy(Function::from_bytes("f", *b"no module")?).is_err());
    assert_eq!(runtime.versions("f"), before);
    assert_eq!(ask(&runtime, "f").await?, 1);

    // The same module with other settings is the same version.
    runtime.deploy(numbered("f", 1)?)?;
    assert_eq!(runtime.versions("f").len(), 2);
    runtime.invoke(&Context::background(), "f", Request::new("ab")).await?;
    // A successor has the settings of the function that it replaces.
    runtime.deploy(numbered("f", 1)?.request_body(3))?;
    let module = modules::responding(&modules::head(204, &[]), 1, |_| ());
    runtime.deploy(runtime.with_module("f", module).unwrap())?;
    let too_long = runtime.invoke(&Context::background(), "f", Request::new("abcd")).await;
    assert!(matches!(too_long.unwrap_err().outcome(), Outcome::BodyTooLarge { limit: 3 }));
    let wrong = VersionError::NotRetained { function: "f".to_owned(), version: "x".to_owned() };
    assert_eq!(runtime.rollback("f", Some("x")), Err(wrong));
    assert!(runtime.remove("f") && runtime.versions("f").is_empty());
    Ok(())
}

#[tokio::test]
async fn a_canary_gets_its_share_and_is_promoted_or_ended() -> Result<()> {
    let runtime = host::runtime([numbered("f", 1)?]);
    let same = runtime.deploy_canary(numbered("f", 1)?, 10);
    assert!(matches!(same, Err(DeployError::SameVersion { .. })), "{same:?}");
    runtime.deploy_canary(numbered("f", 2)?, 10)?;
    let counts = async || -> Result<[u16; 2]> {
        let mut counts = [0; 2];
        for _ in 0..2_000 {
            counts[usize::from(ask(&runtime, "f").await?) - 1] += 1;
        }
        Ok(counts)
    };
    let [_, canary] = counts().await?;
    assert!((140..260).contains(&canary), "{canary} of 2,000 got the canary of 10 %");
    let listed = runtime.versions("f");
    assert_eq!([listed[0].percent, listed[1].percent], [90, 10]);
    assert!(listed[1].is_canary && !listed[0].is_canary);

    runtime.set_canary("f", 0)?;
    assert_eq!(counts().await?, [2_000, 0]);
    runtime.set_canary("f", 100)?;
    assert_eq!(counts().await?, [0, 2_000]);
    assert_eq!(
        runtime.set_canary("f", 50),
        Err(VersionError::NoCanary { function: "f".to_owned() })
    );
    runtime.deploy_canary(numbered("f", 3)?, 50)?;
    runtime.rollback("f", None)?;
    assert_eq!(counts().await?, [0, 2_000]);

    // The first deploy of a function gets every invocation.
    runtime.deploy_canary(numbered("new", 1)?, 10)?;
    assert_eq!(shares(&runtime, "new")[0].1, 100);
    Ok(())
}

/// Instances of a version that does not serve are dropped, also those that were in use during the
/// deploy; and they are kept again after a rollback.
#[tokio::test]
async fn a_version_that_does_not_serve_keeps_no_instances() -> Result<()> {
    let reset = |number: u16| -> Result<Function> {
        let head = modules::head(200, &[("x-number", &number.to_string())]);
        Ok(Function::from_bytes("f", modules::responding(&head, 1, |_| ()))?)
    };
    let runtime = host::runtime([reset(1)?]);
    ask(&runtime, "f").await?;
    assert_eq!(runtime.idle_stats().instances, 1);
    runtime.deploy(reset(2)?)?;
    host::nothing_kept(&runtime).await;
    ask(&runtime, "f").await?;
    runtime.rollback("f", None)?;
    host::nothing_kept(&runtime).await;
    assert_eq!(ask(&runtime, "f").await?, 1);
    assert_eq!(runtime.idle_stats().instances, 1);
    Ok(())
}

#[tokio::test]
async fn invocations_finish_on_the_version_that_they_started_with() -> Result<()> {
    let runtime = host::runtime([hourglass_tests::guests::function("v-echo", "echo")]);
    let (feed, body) = input::fed();
    let asked = tokio::spawn({
        let runtime = runtime.clone();
        async move { runtime.invoke(&Context::background(), "v-echo", Request::new(body)).await }
    });
    feed.asked().await;
    for number in 0..10 {
        runtime.deploy(numbered("v-echo", number)?)?;
        assert_eq!(ask(&runtime, "v-echo").await?, number);
    }
    feed.give("to the end");
    drop(feed);
    assert_eq!(asked.await??.into_body().bytes().await.unwrap(), "to the end");
    Ok(())
}

#[test]
fn many_deploys_hold_few_versions() -> Result<()> {
    if process::delegated("versions::many_deploys_hold_few_versions") {
        return Ok(());
    }
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let runtime = Runtime::builder().max_in_flight(16).retained_versions(3).build()?;
    runtime.deploy(numbered("f", u16::MAX)?)?;
    tokio.block_on(ask(&runtime, "f"))?;
    let before = Holdings::now();
    for number in 0..DEPLOYS {
        runtime.deploy(numbered("f", number)?)?;
        assert_eq!(tokio.block_on(ask(&runtime, "f"))?, number);
    }
    assert_eq!(runtime.versions("f").len(), 4);
    let after = Holdings::now();
    // Three versions with a descriptor each, and what is created on demand.
    assert!(after.descriptors <= before.descriptors + 13, "{before:?} {after:?}");
    assert!(after.mappings <= before.mappings + 200, "{before:?} {after:?}");
    for number in (0..DEPLOYS - 1).rev().take(3) {
        runtime.rollback("f", None)?;
        assert_eq!(tokio.block_on(ask(&runtime, "f"))?, number);
    }
    assert_eq!(
        runtime.rollback("f", None),
        Err(VersionError::NoEarlier { function: "f".to_owned() })
    );
    Ok(())
}
