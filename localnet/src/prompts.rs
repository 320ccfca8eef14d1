//! The requester's prompts: beginnings of texts in several genres and languages, one a line, for a base model to go on with.

/// As `assayd calibrate --prompts` reads them too.
pub const FILE: &str = include_str!("../prompts.txt");

/// Every prompt, in the order of the file.
pub fn all() -> Vec<&'static str> {
    FILE.lines().filter(|line| !line.is_empty()).collect()
}

/// `count` prompts from number `first` on, beginning anew after the last.
pub fn in_turn(first: usize, count: usize) -> Vec<&'static str> {
    all().into_iter().cycle().skip(first % all().len()).take(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_at_least_120_and_no_two_alike() {
        let distinct: std::collections::BTreeSet<&str> = all().into_iter().collect();
        assert_eq!(distinct.len(), all().len());
        assert!(distinct.len() >= 120, "{}", distinct.len());
    }

    #[test]
    fn turns_go_on_where_the_last_one_ended_and_begin_anew_after_the_end() {
        assert_eq!(in_turn(0, 5), all()[..5]);
        assert_eq!(in_turn(5, 2), all()[5..7]);
        assert_eq!(in_turn(all().len() + 1, 1), all()[1..2]);
        assert_eq!(in_turn(all().len() - 1, 2), [all()[all().len() - 1], all()[0]]);
    }
}
