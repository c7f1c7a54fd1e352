//! The links between pages.

use std::fs;

use anyhow::Result;
use hourglass_tests::guests::repository;

use super::page;

#[test]
fn every_link_leads_to_a_file_and_a_heading() -> Result<()> {
    // Its commands need other machines.
    let deploy = page::read("examples/deploy/README.md".to_owned())?;
    for page in page::all()?.into_iter().chain([deploy]) {
        let folder = repository().join(&page.name);
        let folder = folder.parent().unwrap();
        for link in page.text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") {
                continue;
            }
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target =
                if file.is_empty() { repository().join(&page.name) } else { folder.join(file) };
            assert!(target.exists(), "{}: no {link}", page.name);
            if !heading.is_empty() {
                let text = fs::read_to_string(&target)?;
                let headings = text.lines().filter(|line| line.starts_with('#')).map(anchor);
                assert!(
                    headings.into_iter().any(|known| known == heading),
                    "{}: no {link}",
                    page.name
                );
            }
        }
    }
    Ok(())
}

#[test]
fn the_index_lists_every_page() -> Result<()> {
    let pages = page::all()?;
    let index = pages.iter().find(|page| page.name == "docs/README.md").unwrap();
    for page in pages.iter().filter_map(|page| page.name.strip_prefix("docs/")) {
        assert!(page == "README.md" || index.text.contains(&format!("]({page})")), "{page}");
    }
    Ok(())
}

/// The anchor of a heading, as GitHub makes it.
fn anchor(heading: &str) -> String {
    let words = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = words.chars().filter(|char| char.is_alphanumeric() || " -_".contains(*char));
    kept.collect::<String>().replace(' ', "-")
}
