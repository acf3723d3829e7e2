//! What is left out of training: lexicons and patterns (PRE-2, PRE-3, PRE-5) and exam items (invariant 9).
//!
//! Rules come from a TOML file. A document is dropped by the first rule that flags it, and counted under
//! that rule's name:
//!
//! ```toml
//! [[rule]]
//! name = "adult"                 # lexicon: flagged at the third occurrence of any of the words
//! words = ["…", "…"]
//! at_least = 3
//!
//! [[rule]]
//! name = "email"                 # pattern: every match is replaced, the document stays
//! pattern = '[\w.]+@[\w.]+\.\w+'
//! action = "redact"
//! ```

use std::borrow::Cow;
use std::path::Path;

use regex::{Regex, RegexBuilder};
use serde::Deserialize;

use crate::document::{Document, SegmentKind};
use crate::error::{Error, Result};
use crate::heldout::HeldOut;
use crate::storage;

/// What a rule does with what it finds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Action {
    #[default]
    Drop,
    Redact,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleFile {
    #[serde(default)]
    rule: Vec<RuleEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleEntry {
    name: String,
    words: Option<Vec<String>>,
    pattern: Option<String>,
    #[serde(default = "one")]
    at_least: usize,
    #[serde(default)]
    action: Action,
}

fn one() -> usize {
    1
}

/// Why a document is dropped that holds an item of an exam.
pub(crate) const HELD_OUT: &str = "held-out item";

/// What stands in the place of redacted text.
const REDACTED: &str = "[redacted]";

struct Rule {
    name: String,
    regex: Regex,
    at_least: usize,
    action: Action,
}

/// All the rules of a build.
#[derive(Default)]
pub(crate) struct Filter {
    rules: Vec<Rule>,
    heldout: Option<(HeldOut, bool)>,
}

/// What becomes of a document.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Verdict {
    /// It is dropped, for this reason.
    pub(crate) dropped: Option<String>,
    /// It holds this exam item.
    pub(crate) item: Option<String>,
    /// How often each redacting rule found something.
    pub(crate) redacted: Vec<(String, u64)>,
}

impl Filter {
    /// Reads the rules and the list of held-out items; `drop_items`: drop what contains one rather than
    /// only report it.
    pub(crate) fn open(rules: Option<&Path>, heldout: Option<&Path>, drop_items: bool) -> Result<Self> {
        let mut filter = Filter::default();
        if let Some(path) = rules {
            filter.rules = parse_rules(&storage::read_text(path)?)
                .map_err(|what| Error::Config(format!("rules {}: {what}", path.display())))?;
        }
        if let Some(path) = heldout {
            filter.heldout = Some((HeldOut::open(path)?, drop_items));
        }
        Ok(filter)
    }

    /// Names of held-out items that are too short to be told from ordinary text.
    pub(crate) fn too_short(&self) -> &[String] {
        self.heldout.as_ref().map_or(&[], |(items, _)| &items.refused)
    }

    /// The held-out item one of whose pictures a document shows, and whether the document is to be dropped for it.
    pub(crate) fn shows(&self, document: &Document) -> Option<(&str, bool)> {
        let (items, drop) = self.heldout.as_ref()?;
        Some((items.shown_in(document)?, *drop))
    }

    /// Whether there is nothing to check.
    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.heldout.is_none()
    }

    /// Applies the rules to a document, which may be redacted in place.
    pub(crate) fn check(&self, document: &mut Document) -> Verdict {
        let mut verdict = Verdict::default();
        if self.is_empty() {
            return verdict;
        }
        if let Some((items, drop)) = &self.heldout
            && let Some(item) = items.find_in(document)
        {
            verdict.dropped = drop.then(|| HELD_OUT.to_owned());
            verdict.item = Some(item.to_owned());
            if *drop {
                return verdict;
            }
        }
        for rule in &self.rules {
            match rule.action {
                Action::Drop => {
                    let found: usize =
                        document.texts().map(|t| rule.regex.find_iter(t).take(rule.at_least).count()).sum();
                    if found >= rule.at_least {
                        verdict.dropped = Some(rule.name.clone());
                        return verdict;
                    }
                }
                Action::Redact => {
                    let found = redact(document, &rule.regex);
                    if found > 0 {
                        verdict.redacted.push((rule.name.clone(), found));
                    }
                }
            }
        }
        verdict
    }
}

fn redact(document: &mut Document, regex: &Regex) -> u64 {
    let mut found = 0;
    for segment in &mut document.segments {
        if let SegmentKind::Text(text) = &mut segment.kind {
            let replaced = regex.replace_all(text, |_: &regex::Captures| {
                found += 1;
                REDACTED
            });
            if let Cow::Owned(replaced) = replaced {
                *text = replaced;
            }
        }
    }
    found
}

fn parse_rules(text: &str) -> std::result::Result<Vec<Rule>, String> {
    let file: RuleFile = toml::from_str(text).map_err(|error| error.to_string())?;
    file.rule.into_iter().map(rule).collect()
}

fn rule(entry: RuleEntry) -> std::result::Result<Rule, String> {
    let name = entry.name;
    let pattern = match (entry.words, entry.pattern) {
        (Some(words), None) if !words.is_empty() => {
            let words: Vec<String> = words.iter().map(|word| regex::escape(word)).collect();
            format!(r"(?i)\b(?:{})\b", words.join("|"))
        }
        (None, Some(pattern)) if !pattern.is_empty() => pattern,
        _ => return Err(format!("rule {name:?} must have either words or a pattern")),
    };
    if entry.at_least == 0 {
        return Err(format!("rule {name:?}: at_least must be 1 or more"));
    }
    let regex = RegexBuilder::new(&pattern)
        .size_limit(256 << 20)
        .build()
        .map_err(|error| format!("rule {name:?}: {error}"))?;
    if regex.is_match("") {
        return Err(format!("rule {name:?} matches the empty text, so it would flag everything"));
    }
    Ok(Rule { name, regex, at_least: entry.at_least, action: entry.action })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(rules: &str) -> Filter {
        Filter { rules: parse_rules(rules).unwrap(), heldout: None }
    }

    #[test]
    fn a_lexicon_counts_whole_words_without_case() {
        let filter = filter("[[rule]]\nname='n'\nwords=['bad','évil']\nat_least=2");
        let check = |text: &str| filter.check(&mut Document::text("", "", text)).dropped;
        assert_eq!(check("bad badly evil"), None);
        assert_eq!(check("Bad and ÉVIL"), Some("n".into()));
    }

    #[test]
    fn a_redacting_rule_counts_and_keeps() {
        let filter = filter("[[rule]]\nname='mail'\npattern='\\w+@\\w+'\naction='redact'");
        let mut document = Document::text("", "", "a@b and c@d");
        let verdict = filter.check(&mut document);
        assert_eq!(verdict, Verdict { redacted: vec![("mail".into(), 2)], ..Verdict::default() });
        assert_eq!(document.texts().next(), Some("[redacted] and [redacted]"));
    }

    #[test]
    fn rules_that_cannot_work_are_refused() {
        for rules in [
            "[[rule]]\nname='a'",
            "[[rule]]\nname='a'\nwords=[]",
            "[[rule]]\nname='a'\npattern='('",
            "[[rule]]\nname='a'\npattern='x*'",
            "[[rule]]\nname='a'\npattern='x'\nat_least=0",
            "[[rule]]\nname='a'\npattern='x'\nacton='drop'",
        ] {
            assert!(parse_rules(rules).is_err(), "{rules}");
        }
    }
}
