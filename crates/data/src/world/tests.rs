//! Tests.
use super::*;
#[test]
fn show() {
    let world = World::new(1);
    for index in 0..std::env::var("N").ok().and_then(|n| n.parse().ok()).unwrap_or(3) {
        println!("=== {}\n{}\n", world.genre(index).name(), world.document(index));
    }
}
