//! A foreign `config.json` is read or refused by name, and what is read can be written and read again.

#[path = "../../data/tests/common/damage.rs"]
mod damage;

use damage::{altered, damaged};
use model::{Config, Sizes};
use proptest::prelude::*;

fn valid() -> Vec<u8> {
    let (width, ffn, heads, kv_heads) = (64, 96, 4, 2);
    let sizes =
        Sizes { vocab: 300, width, ffn, layers: 2, heads, kv_heads, head_dim: 16, context: 64, tied: true };
    Config::new(sizes).unwrap().to_json()
}

fn read(bytes: &[u8]) {
    let Ok(config) = Config::from_json(bytes) else { return };
    assert!(config.parameters() > 0);
    assert_eq!(Config::from_json(&config.to_json()).unwrap(), config);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn configurations(
        edits in prop::collection::vec(any::<u8>(), 0..24),
        changes in prop::collection::vec((prop::collection::vec(any::<u8>(), 1..3), any::<u8>()), 1..4),
    ) {
        read(&damaged(&valid(), &edits));
        read(&changes.iter().fold(valid(), |json, (picks, value)| altered(&json, picks, *value)));
    }
}

#[test]
fn the_sample_is_valid() {
    assert!(Config::from_json(&valid()).is_ok());
}
