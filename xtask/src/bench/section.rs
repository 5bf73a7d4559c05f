use anyhow::{Context, bail};

const BEGIN: &str = "<!-- bench:begin -->";
const END: &str = "<!-- bench:end -->";

/// A document with another text between its markers.
///
/// # Errors
/// When the markers are not there, once each and in order.
pub(crate) fn replace(document: &str, section: &str) -> anyhow::Result<String> {
    let (before, rest) = document.split_once(BEGIN).with_context(|| format!("no {BEGIN}"))?;
    let (old, after) = rest.split_once(END).with_context(|| format!("no {END} after it"))?;
    if [old, after].iter().any(|part| part.contains(BEGIN)) || after.contains(END) {
        bail!("{BEGIN} and {END} must be there once");
    }
    Ok(format!("{before}{BEGIN}\n{}\n{END}{after}", section.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::{BEGIN, END, replace};

    #[test]
    fn only_what_is_between_the_markers_changes() {
        let document = format!("# a\n{BEGIN}\nold\n{END}\nb\n");
        let new = replace(&document, "new\n\n").unwrap();
        assert_eq!(new, format!("# a\n{BEGIN}\nnew\n{END}\nb\n"));
        assert_eq!(replace(&new, "new").unwrap(), new);
    }

    #[test]
    fn markers_must_be_there_once_and_in_order() {
        for document in [
            String::new(),
            BEGIN.to_owned(),
            format!("{END}{BEGIN}"),
            format!("{BEGIN}{BEGIN}{END}"),
            format!("{BEGIN}{END}{END}"),
        ] {
            assert!(replace(&document, "x").is_err(), "{document}");
        }
    }
}
