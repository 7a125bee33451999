//! The numbers of a user, by the image's own `passwd` and `group`, as the runtimes look them up.

/// Whom the image runs as.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// Other groups.
    pub groups: Vec<u32>,
    /// The home folder.
    pub home: String,
}

/// The numbers of `USER[:GROUP]`, each a name or a number; empty means root.
pub(super) fn resolve(user: &str, passwd: &[u8], group: &[u8]) -> Result<Account, String> {
    let (passwd, group) = (String::from_utf8_lossy(passwd), String::from_utf8_lossy(group));
    let (name, group_name) = user.split_once(':').unwrap_or((user, ""));
    let name = if name.is_empty() { "0" } else { name };
    let number: Option<u32> = name.parse().ok();
    let known = passwd.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let (uid, gid) = (fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?);
        (fields[0] == name || number == Some(uid)).then(|| (fields[0], uid, gid, *fields.get(5).unwrap_or(&"")))
    });
    let shown = |text: &str| super::foreign(text.as_bytes());
    let (known_name, mut account) = match (known, number) {
        (Some((known, uid, gid, home)), _) => (known, Account { uid, gid, home: home.to_owned(), groups: Vec::new() }),
        (None, Some(uid)) => ("", Account { uid, ..Account::default() }),
        (None, None) => return Err(format!("there is no user {} in the image's /etc/passwd", shown(name))),
    };
    if account.home.is_empty() {
        account.home = if account.uid == 0 { "/root" } else { "/" }.to_owned();
    }
    let groups = group.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        Some((fields[0], fields.get(2)?.parse::<u32>().ok()?, *fields.get(3).unwrap_or(&"")))
    });
    if group_name.is_empty() {
        let mine =
            groups.filter(|(_, _, members)| !known_name.is_empty() && members.split(',').any(|it| it == known_name));
        // As many as the kernel takes.
        account.groups = mine.map(|(_, gid, _)| gid).take(65_536).collect();
        return Ok(account);
    }
    let number: Option<u32> = group_name.parse().ok();
    let found = { groups }.find(|(known, gid, _)| *known == group_name || number == Some(*gid)).map(|(_, gid, _)| gid);
    account.gid =
        found.or(number).ok_or_else(|| format!("there is no group {} in the image's /etc/group", shown(group_name)))?;
    Ok(account)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &[u8] = b"root:x:0:0:root:/root:/bin/sh\nbad line\nweb:x:33:44:web:/var/www:/bin/false\n";
    const GROUP: &[u8] = b"root:x:0:root\nweb:x:44:\nssl:x:70:other,web\nlog:x:71:webber\n";

    fn account(user: &str) -> Result<Account, String> {
        resolve(user, PASSWD, GROUP)
    }

    #[test]
    fn users_are_found_by_name_and_by_number() {
        let web = Account { uid: 33, gid: 44, groups: vec![70], home: "/var/www".to_owned() };
        assert_eq!(account("web"), Ok(web.clone()));
        assert_eq!(account("33"), Ok(web));
        assert_eq!(account("").map(|it| (it.uid, it.gid, it.home)), Ok((0, 0, "/root".to_owned())));
        assert_eq!(account("1000"), Ok(Account { uid: 1000, home: "/".to_owned(), ..Account::default() }));
        assert_eq!(account("33:ssl").map(|it| (it.gid, it.groups)), Ok((70, vec![])));
        assert_eq!(account("33:9").map(|it| it.gid), Ok(9));
    }

    #[test]
    fn who_is_not_there_is_named_without_control_characters() {
        assert_eq!(account("no\u{1b}body").unwrap_err(), "there is no user no\\x1bbody in the image's /etc/passwd");
        assert!(account("web:nogroup").is_err());
        assert!(account("-1").is_err());
    }
}
