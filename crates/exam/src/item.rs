//! An item of an exam.

use data::{Document, ImageRef, Segment, SegmentKind};

/// A question with choices, one of which is right.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Unique in its exam.
    pub id: String,
    /// What it is about; items of a family are alike.
    pub family: String,
    /// From easy to hard, counted from 1.
    pub level: u32,
    /// Text and pictures before the answer.
    pub prompt: Vec<SegmentKind>,
    /// What may follow the prompt, none the beginning of another.
    pub choices: Vec<String>,
    /// The right one, counted from 0.
    pub right: usize,
    /// The answer by itself, as a person would write it.
    pub answer: String,
    /// Each picture of the prompt in words, in order.
    pub transcription: Vec<String>,
}

/// How pictures are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rendering {
    /// As they are.
    #[default]
    Seeing,
    /// Not at all: `IMAGE:` and a file name that says nothing stand in their place, a lower bound of what seeing adds.
    Blind,
    /// In words.
    Transcribed,
}

impl Item {
    /// The probability that a blind guess is right.
    pub fn chance(&self) -> f64 {
        1.0 / self.choices.len().max(1) as f64
    }

    /// The document that is to be continued.
    pub fn document(&self, rendering: Rendering) -> Document {
        let mut told = self.transcription.iter();
        let mut number = 0;
        let shown = |kind: &SegmentKind| match (kind, rendering) {
            (SegmentKind::Image(ImageRef::File(_) | ImageRef::Bytes(_)), Rendering::Blind) => {
                number += 1;
                SegmentKind::Text(format!("IMAGE: {number}.png\n"))
            }
            (SegmentKind::Image(_), Rendering::Transcribed) => {
                SegmentKind::Text(format!("{}\n", told.next().map_or("", String::as_str)))
            }
            _ => kind.clone(),
        };
        let segments = self.prompt.iter().map(shown).map(|kind| Segment { kind, weight: 0.0 }).collect();
        Document { id: self.id.clone(), source: self.family.clone(), segments }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_renderings_of_one_item() {
        let image = SegmentKind::Image(ImageRef::Bytes(vec![1, 2]));
        let item = Item {
            id: "a".into(),
            family: "f".into(),
            level: 1,
            prompt: vec![image.clone(), SegmentKind::Text("or\n".into()), image.clone()],
            choices: vec!["x\n".into(), "y\n".into()],
            right: 1,
            answer: "y".into(),
            transcription: vec!["A cat.".into(), "A dog.".into()],
        };
        let kinds =
            |rendering| item.document(rendering).segments.into_iter().map(|one| one.kind).collect::<Vec<_>>();
        let text = |text: &str| SegmentKind::Text(text.into());
        assert_eq!(kinds(Rendering::Seeing), item.prompt);
        assert_eq!(kinds(Rendering::Blind), [text("IMAGE: 1.png\n"), text("or\n"), text("IMAGE: 2.png\n")]);
        assert_eq!(kinds(Rendering::Transcribed), [text("A cat.\n"), text("or\n"), text("A dog.\n")]);
        assert_eq!(item.chance(), 0.5);
    }
}
