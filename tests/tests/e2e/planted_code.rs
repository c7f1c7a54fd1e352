//! Code that a project plants in a cache: it does not run.

use std::fs;

use anyhow::Result;
use tempfile::TempDir;

use super::code_cache::{Place, run, set_mode, with_status};
use super::command::hourglass;

/// A project that contains a cache in which the code of one module has the name of another one. A
/// matching key is in every place where a key may be searched.
struct Planted {
    project: TempDir,
    home: TempDir,
}

impl Planted {
    async fn new() -> Result<Self> {
        let attacker = Place::new()?;
        run(attacker.builder(), &[202]).await?;
        let (evil, _) = attacker.compiled().remove(0);
        run(attacker.builder(), &[201]).await?;
        let mut both = attacker.compiled().into_iter().map(|(path, _)| path);
        let victim = both.find(|path| *path != evil).unwrap();
        let name = victim.file_name().unwrap().to_str().unwrap();

        let (project, home) = (tempfile::tempdir()?, tempfile::tempdir()?);
        let cache = project.path().join("cache");
        fs::create_dir(&cache)?;
        let mut content = fs::read(&evil)?;
        content.truncate(content.len() - blake3::OUT_LEN);
        let key = [7; blake3::KEY_LEN];
        let mut tag = blake3::Hasher::new_keyed(&key);
        tag.update(name.as_bytes()).update(&content);
        content.extend(tag.finalize().as_bytes());
        for (file, content) in [(name, &*content), ("key", &key), ("cache-key", &key)] {
            fs::write(cache.join(file), content)?;
            set_mode(&cache.join(file), 0o600);
        }
        fs::write(project.path().join("hourglass.toml"), "cache = \"cache\"\n")?;
        fs::write(project.path().join("victim.wasm"), with_status(201))?;
        Ok(Self { project, home })
    }

    /// Invokes the module in the project, and returns its status and the log.
    fn invoke(&self, arguments: &[&str]) -> Result<(u64, String)> {
        let mut command = hourglass(&["invoke", "victim.wasm", "--json"]);
        command.args(arguments).current_dir(self.project.path()).env("HOME", self.home.path());
        for unset in ["HOURGLASS_CACHE", "HOURGLASS_STATE_DIR", "XDG_CACHE_HOME", "XDG_STATE_HOME"]
        {
            command.env_remove(unset);
        }
        let ended = command.output()?;
        let said = String::from_utf8(ended.stderr)?;
        assert!(ended.status.success(), "{said}");
        let report: serde_json::Value = serde_json::from_slice(&ended.stdout)?;
        Ok((report["status"].as_u64().unwrap(), said))
    }
}

#[tokio::test]
async fn code_planted_in_a_project_does_not_run() -> Result<()> {
    let planted = Planted::new().await?;
    let (status, said) = planted.invoke(&[])?;
    assert_eq!(status, 201, "the planted code was run");
    assert!(said.contains("hourglass.toml:1:9: `cache` is ignored"), "{said}");
    let cache = planted.home.path().join(".cache/hourglass");
    assert_eq!(fs::read_dir(cache)?.count(), 1);
    assert!(planted.home.path().join(".local/state/hourglass/cache-key").exists());
    Ok(())
}

#[tokio::test]
async fn code_planted_in_the_configured_cache_does_not_run() -> Result<()> {
    let planted = Planted::new().await?;
    let (status, said) = planted.invoke(&["--cache", "cache"])?;
    assert_eq!(status, 201, "the planted code was run");
    assert!(said.contains("is not what this cache wrote"), "{said}");
    // The compiled code has replaced it.
    assert_eq!(planted.invoke(&["--cache", "cache"])?, (201, String::new()));
    Ok(())
}

#[tokio::test]
async fn the_program_runs_without_a_cache_if_none_is_safe() -> Result<()> {
    let planted = Planted::new().await?;
    fs::remove_file(planted.project.path().join("hourglass.toml"))?;
    let cache = planted.home.path().join(".cache/hourglass");
    fs::create_dir_all(&cache)?;
    set_mode(&cache, 0o777);
    let (status, said) = planted.invoke(&[])?;
    assert_eq!(status, 201);
    assert!(said.contains("compiled code is not kept") && said.contains("chmod go-w"), "{said}");
    assert_eq!(fs::read_dir(&cache)?.count(), 0);
    Ok(())
}
