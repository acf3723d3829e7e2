//! The little English grammar that templates need: articles, plurals, the third person, numbers in words.

/// `a` or `an`, by the first letter of what follows.
pub(super) fn article(word: &str) -> &'static str {
    let silent = word.starts_with("honest") || word.starts_with("honour");
    if silent || word.starts_with(['a', 'e', 'i', 'o', 'u', 'A', 'E', 'I', 'O', 'U']) { "an " } else { "a " }
}

/// Appends the plural of a noun.
pub(super) fn plural(noun: &str, text: &mut String) {
    let irregular = match noun {
        "sheep" | "deer" | "trout" | "fish" => noun,
        "mouse" => "mice",
        "goose" => "geese",
        "ox" => "oxen",
        "calf" => "calves",
        "wolf" => "wolves",
        "knife" => "knives",
        "shelf" => "shelves",
        "leaf" => "leaves",
        _ => "",
    };
    if !irregular.is_empty() {
        text.push_str(irregular);
    } else {
        inflect(noun, text);
    }
}

/// Appends the third person of a verb, or a regular plural: both end alike.
pub(super) fn inflect(word: &str, text: &mut String) {
    let before = word.as_bytes().iter().rev().nth(1).copied().unwrap_or(b'a');
    if word.ends_with('y') && !b"aeiou".contains(&before) {
        text.push_str(&word[..word.len() - 1]);
        text.push_str("ies");
    } else {
        text.push_str(word);
        let hissing = ["s", "x", "z", "sh", "ch"].iter().any(|end| word.ends_with(end));
        text.push_str(if hissing { "es" } else { "s" });
    }
}

const SMALL: &[&str] = &[
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: &[&str] = &["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];

/// Appends a number below a hundred in words, a larger one in figures.
pub(super) fn number(value: u64, text: &mut String) {
    match (SMALL.get(value as usize), TENS.get((value / 10) as usize)) {
        (Some(word), _) => text.push_str(word),
        (None, Some(tens)) => {
            text.push_str(tens);
            let ones = (value % 10) as usize;
            if ones > 0 {
                text.push('-');
                text.push_str(SMALL[ones]);
            }
        }
        (None, None) => text.push_str(&value.to_string()),
    }
}
