//! Rows of documents that are not cut where that can be helped, for a question cut off from its picture has no answer.
//!
//! Documents follow each other as they do in the split; a row ends where the next does not fit into it whole, by its tokens or by the
//! tiles of its pictures. What fits into no row begins one, and goes on in the next.

use std::ops::Range;

use crate::error::Result;
use crate::seeing::Look;
use crate::split::Split;

/// Where rows begin, counted in tokens of the documents given, one after the other; the last entry is their total.
pub(crate) fn pack(
    split: &Split,
    documents: impl Iterator<Item = Range<u64>>,
    seq: usize,
    look: &Look,
) -> Result<Vec<u64>> {
    let mut starts = vec![0];
    let (mut at, mut room, mut tiles) = (0u64, seq as u64, look.tiles);
    let open = |place: u64, starts: &mut Vec<u64>| {
        if starts.last() != Some(&place) {
            starts.push(place);
        }
    };
    for document in documents {
        let (length, needed) = (document.end - document.start, split.tiles(document.clone(), look)?);
        if length > room || needed > tiles {
            open(at, &mut starts);
            (room, tiles) = (seq as u64, look.tiles);
        }
        if length <= room && needed <= tiles {
            (room, tiles) = (room - length, tiles - needed);
            at += length;
            continue;
        }
        // It fits into no row: cut where one is full.
        let mut tokens = vec![0; length as usize];
        split.read(document.start, &mut tokens)?;
        // Image tokens since the document began, and of the tile that is being shown.
        let (each, mut shown) = (look.seeing.tokens(), 0);
        let mut begun = None;
        for &token in &tokens {
            let tile = (token == look.image).then(|| {
                shown += 1;
                (shown - 1) / each
            });
            let new = tile.is_some() && tile != begun;
            if room == 0 || (new && tiles == 0) {
                open(at, &mut starts);
                (room, tiles) = (seq as u64, look.tiles);
                begun = None;
            }
            if tile.is_some() && tile != begun {
                tiles -= 1;
                begun = tile;
            }
            room -= 1;
            at += 1;
        }
    }
    open(at, &mut starts);
    Ok(starts)
}
