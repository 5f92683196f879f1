//! `path.Clean`, `path.Join` and `filepath.Rel` of Go, which shape every path a driver sees (A7).

/// `path.Clean`: the shortest equal path; `.` for an empty one.
pub fn clean(path: &str) -> String {
    if path.is_empty() {
        return ".".into();
    }
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => match parts.last() {
                Some(&last) if last != ".." => {
                    parts.pop();
                }
                _ if rooted => {}
                _ => parts.push(".."),
            },
            other => parts.push(other),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".into(),
        (false, false) => joined,
    }
}

/// `path.Join`: empty elements are ignored, the result is cleaned, nothing at all gives an empty text.
pub fn join(elements: &[&str]) -> String {
    let present: Vec<&str> = elements
        .iter()
        .copied()
        .filter(|element| !element.is_empty())
        .collect();
    if present.is_empty() {
        String::new()
    } else {
        clean(&present.join("/"))
    }
}

/// `path.Base`.
pub fn base(path: &str) -> String {
    if path.is_empty() {
        return ".".into();
    }
    let trimmed = path.trim_end_matches('/');
    if trimmed.is_empty() {
        return "/".into();
    }
    trimmed.rsplit('/').next().unwrap_or(trimmed).to_owned()
}

/// Whether the path starts at the root.
pub fn is_absolute(path: &str) -> bool {
    path.starts_with('/')
}

/// `filepath.Rel` on Unix. The error is Go's text.
pub fn relative(from: &str, to: &str) -> Result<String, String> {
    let base = clean(from);
    let target = clean(to);
    if base == target {
        return Ok(".".into());
    }
    // Go drops a lone dot on either side before it compares.
    let base = if base == "." { String::new() } else { base };
    let target = if target == "." { String::new() } else { target };
    let impossible = || format!("Rel: can't make {to} relative to {from}");
    if is_absolute(&base) != is_absolute(&target) {
        return Err(impossible());
    }
    let base_parts = parts_of(&base);
    let target_parts = parts_of(&target);
    let common = base_parts
        .iter()
        .zip(&target_parts)
        .take_while(|(left, right)| left == right)
        .count();
    if base_parts.get(common) == Some(&"..") {
        return Err(impossible());
    }
    let mut result = vec![".."; base_parts.len() - common];
    result.extend(&target_parts[common..]);
    Ok(if result.is_empty() {
        ".".into()
    } else {
        result.join("/")
    })
}

fn parts_of(path: &str) -> Vec<&str> {
    path.split('/').filter(|part| !part.is_empty()).collect()
}

/// The runner's `ToSlash`: it turns every backslash into a slash, on Unix too.
pub fn to_slash(path: &str) -> String {
    path.replace('\\', "/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cleans_as_go_does() {
        let cases = [
            ("", "."),
            ("/", "/"),
            ("a//b/./c/..", "a/b"),
            ("/../a", "/a"),
            ("../../a", "../../a"),
            ("a/..", "."),
            ("/a/../..", "/"),
        ];
        for (path, expected) in cases {
            assert_eq!(clean(path), expected, "{path}");
        }
    }

    #[test]
    fn relates_paths_as_go_does() {
        assert_eq!(relative("/b", "/b/x/y").unwrap(), "x/y");
        assert_eq!(relative("/b/c", "/b/d").unwrap(), "../d");
        assert_eq!(relative("/b", "/").unwrap(), "..");
        assert_eq!(relative("b", "b/c").unwrap(), "c");
        assert_eq!(relative("a", "").unwrap(), "..");
        assert_eq!(relative(".", "b").unwrap(), "b");
        assert!(relative("/b", "c").is_err());
        assert!(relative("../b", "c").is_err());
    }

    #[test]
    fn takes_the_last_part() {
        assert_eq!(base("/a/b/"), "b");
        assert_eq!(base("/"), "/");
        assert_eq!(base(""), ".");
    }
}
