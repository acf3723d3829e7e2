//! An item of an exam.

use data::{Document, Segment, SegmentKind};

use crate::{NotPosed, Reason};

/// A question with choices, one of which is right, or with none: then the answer is written.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Unique in its exam.
    pub id: String,
    /// What it is about; items of a family are alike.
    pub family: String,
    /// What is asked for, `count` or `colour`; empty where nobody says.
    pub kind: String,
    /// From easy to hard, counted from 1.
    pub level: u32,
    /// Text and pictures before the answer.
    pub prompt: Vec<SegmentKind>,
    /// What may follow the prompt, none the beginning of another.
    pub choices: Vec<String>,
    /// The right one, counted from 0; of no meaning without choices.
    pub right: usize,
    /// The answer by itself, as a person would write it.
    pub answer: String,
    /// Each picture of the prompt in words, in order, where somebody has put them so.
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
    /// The probability that a blind guess is right: none, if the answer is written.
    pub fn chance(&self) -> f64 {
        if self.choices.is_empty() { 0.0 } else { 1.0 / self.choices.len() as f64 }
    }

    /// Prompt and choices of a question as documents ask it: its line ends with its answer, and the answer is a line.
    pub(crate) fn asked(mut prompt: Vec<SegmentKind>, choices: &[String]) -> (Vec<SegmentKind>, Vec<String>) {
        prompt.push(SegmentKind::Text("\n".into()));
        (prompt, choices.iter().map(|choice| format!("{choice}\n")).collect())
    }

    /// The document that is to be continued.
    ///
    /// # Errors
    /// [`Reason::Transcription`], if it has pictures that nobody has put in words and is to be transcribed.
    pub fn document(&self, rendering: Rendering) -> Result<Document, NotPosed> {
        let mut told = self.transcription.iter();
        let mut number = 0;
        let shown = |kind: &SegmentKind| {
            let text = match (kind, rendering) {
                (SegmentKind::Image(_), Rendering::Blind) => {
                    number += 1;
                    format!("IMAGE: {number}.png\n")
                }
                (SegmentKind::Image(_), Rendering::Transcribed) => {
                    let have = self.transcription.len();
                    let what = || format!("transcriptions: {have}, fewer than pictures");
                    let told =
                        told.next().ok_or_else(|| NotPosed { reason: Reason::Transcription, what: what() });
                    format!("{}\n", told?)
                }
                _ => return Ok(kind.clone()),
            };
            Ok(SegmentKind::Text(text))
        };
        let kinds = self.prompt.iter().map(shown).collect::<Result<Vec<_>, NotPosed>>()?;
        let segments = kinds.into_iter().map(|kind| Segment { kind, weight: 0.0 }).collect();
        Ok(Document { id: self.id.clone(), source: self.family.clone(), segments })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use data::ImageRef;

    #[test]
    fn three_renderings_of_one_item() {
        let image = SegmentKind::Image(ImageRef::Bytes(vec![1, 2]));
        let item = Item {
            id: "a".into(),
            family: "f".into(),
            kind: String::new(),
            level: 1,
            prompt: vec![image.clone(), SegmentKind::Text("or\n".into()), image.clone()],
            choices: vec!["x\n".into(), "y\n".into()],
            right: 1,
            answer: "y".into(),
            transcription: vec!["A cat.".into(), "A dog.".into()],
        };
        let kinds = |rendering| {
            item.document(rendering).unwrap().segments.into_iter().map(|one| one.kind).collect::<Vec<_>>()
        };
        let text = |text: &str| SegmentKind::Text(text.into());
        assert_eq!(kinds(Rendering::Seeing), item.prompt);
        assert_eq!(kinds(Rendering::Blind), [text("IMAGE: 1.png\n"), text("or\n"), text("IMAGE: 2.png\n")]);
        assert_eq!(kinds(Rendering::Transcribed), [text("A cat.\n"), text("or\n"), text("A dog.\n")]);
        assert_eq!(item.chance(), 0.5);
        // Blind is always possible; in words only where somebody has put them so.
        let mute = Item { transcription: vec!["A cat.".into()], choices: Vec::new(), ..item };
        assert_eq!(mute.chance(), 0.0);
        assert_eq!(mute.document(Rendering::Transcribed).unwrap_err().reason, Reason::Transcription);
        assert_eq!(mute.document(Rendering::Blind).unwrap().segments.len(), 3);
    }
}
