//! What configurations serve, by example, and what hostile ones cost.

use proptest::prelude::*;

use super::*;
use crate::inspectors::apt::testing;

fn served(files: &[(&str, &str)]) -> Vec<String> {
    let mut obstacles = Vec::new();
    let serving = document_roots(&testing::Files::of(files), &mut obstacles);
    serving.served.into_iter().map(|s| format!("{} {}", s.path, s.by)).collect()
}

/// Says what is served, with its pattern if it has one, and what is not understood.
fn told(files: &[(&str, &str)]) -> Vec<String> {
    let mut obstacles = Vec::new();
    let serving = document_roots(&testing::Files::of(files), &mut obstacles);
    assert_eq!(serving.is_whole, obstacles.is_empty(), "{obstacles:?}");
    let mut served: Vec<String> =
        serving.served.into_iter().map(|s| s.pattern.unwrap_or(s.path)).collect();
    served.sort_unstable();
    let unknown = obstacles.into_iter().map(|o| {
        let why = o.why.split(" leads ").next().unwrap_or_default();
        let why = why.strip_suffix(", which is not run: what that serves is not known");
        format!("? {} {}", o.what, why.unwrap_or(o.why.split(" leads ").next().unwrap_or_default()))
    });
    served.into_iter().chain(unknown).collect()
}

#[test]
fn what_apache_serves_by_a_pattern_or_a_variable_is_served() {
    let main = "etc/apache2/apache2.conf";
    for (text, is) in [
        ("VirtualDocumentRoot /srv/vh/%0", &["/srv/vh/*"][..]),
        ("VirtualDocumentRootIP \"/srv/ip/%-2.1+/htdocs\"", &["/srv/ip/*/htdocs"]),
        ("VirtualScriptAlias none", &[]),
        (
            "VirtualDocumentRoot /%0/www",
            &["? /etc/apache2/apache2.conf line 1: where VirtualDocumentRoot"],
        ),
        ("AliasMatch ^/y/(.*)$ /data/am/$1", &["/data/am"]),
        ("AliasMatch ^/~(.*?)/(.*) /data/homes/$1/www/$2", &["/data/homes/*/www/*"]),
        ("ScriptAliasMatch ^/cgi/(.*) /srv/cgi/$1.pl", &["/srv/cgi"]),
        ("Alias /x/ /srv/x/", &["/srv/x"]),
        ("Alias /x /srv/x", &["/srv/x"]),
        ("Alias /x/ /srv/x", &["/srv/x", "/srv/x*"]),
        ("<Location \"/img\">\nAlias /srv/img\n</Location>", &["/srv/img"]),
        (
            "\n\nDocumentRoot ${NOBODY}/x",
            &["? /etc/apache2/apache2.conf line 3: where DocumentRoot"],
        ),
        ("DocumentRoot /srv/${NOBODY}/x", &["/srv/*/x"]),
        ("DocumentRoot ${APACHE_X}/x", &["/data/env-/x", "/data/env/x"]),
        (
            "<IfDefine A>\nDefine R /a\n</IfDefine>\nDefine R /b\nDocumentRoot ${R}/h",
            &["/a/h", "/b/h"],
        ),
        ("ProxyPassMatch ^/(.*\\.php)$ fcgi://127.0.0.1:9000/var/www/x/$1", &["/var/www/x"]),
        ("ProxyPassMatch ^/(.*)$ unix:/run/php.sock|fcgi://localhost/srv/y/", &["/srv/y"]),
        (
            "ProxyPassMatch ^/(.*)$ fcgi://127.0.0.1:9000/$1\nProxyPass / http://127.0.0.1:8080/",
            &[],
        ),
        ("php_admin_value doc_root /srv/doc", &["/srv/doc"]),
        ("RewriteRule ^/(.*)$ /srv/hosts/%{SERVER_NAME}/docs/$1", &["/srv/hosts/*/docs/*"]),
        ("RewriteRule ^/a /srv/hosts/b [R=301,L]\nRewriteRule ^ /blog/index.php [L]", &[]),
        (
            "UserDir public_html /var/html /srv/*/docs",
            &["/data/homes/w/public_html", "/srv/*/docs", "/var/html/*"],
        ),
        ("UserDir disabled root", &[]),
        (
            "<Macro V $n $nn>\n<VirtualHost *>\nDocumentRoot /srv/$n/$nn\n</VirtualHost>\n</Macro>\nUse V a b\nUse V c d\nUse None",
            &["/srv/a/b", "/srv/c/d"],
        ),
        (
            "ServerRoot /etc/apache2/other\nInclude sites/\nIncludeOptional none/*.conf",
            &["/etc/apache2/other/rel", "/srv/deep"],
        ),
        ("Include ${NOBODY}/x.conf", &["? /etc/apache2/apache2.conf line 1: where Include"]),
        ("DBDocRoot \"SELECT x\"", &["? /etc/apache2/apache2.conf line 1: where DBDocRoot"]),
    ] {
        let found = told(&[
            (main, text),
            (
                "etc/apache2/envvars",
                "unset X\nif a; then\n  S=-\nelse\n  S=\nfi\nexport APACHE_X=/data/env$S # env\n",
            ),
            (
                "etc/apache2/other/sites/a/b.conf",
                "<VirtualHost \"*:80\">\nDocumentRoot /srv/deep\n",
            ),
            ("etc/apache2/other/sites/c.conf", "DocumentRoot rel\n"),
            ("etc/passwd", "w:x:1000:1000::/data/homes/w:/bin/sh\nn:x:1:1::/nonexistent:/bin/sh\n"),
            ("data/homes/w/public_html/x", ""),
            ("srv/hosts/x", ""),
        ]);
        assert_eq!(found, is, "{text}");
    }
    for main in ["opt/lampp/etc/httpd.conf", "etc/apache2-two/apache2.conf"] {
        assert_eq!(told(&[(main, "DocumentRoot /srv/a")]), ["/srv/a"], "{main}");
    }
}

#[test]
fn what_nginx_serves_by_a_pattern_or_a_variable_is_served() {
    let unknown = "? /etc/nginx/nginx.conf line 1: where root";
    for (text, is) in [
        ("set $r /data/n4; root $r/sub;", &["/data/n4/sub"][..]),
        ("root ${r}x; if ($a) { set $r /a; } set $r /b;", &["/ax", "/bx"]),
        (
            "map $host $m { hostnames; default /a; ~^x $y/c; include conf.d/m; } set $y /y; root $m/w;",
            &["/a/w", "/m/w", "/y/c/w"],
        ),
        ("root $nobody;", &[unknown]),
        ("root /srv/$host/web;", &["/srv/*/web"]),
        ("root /srv/$host;", &["/srv/*"]),
        ("root /data/n3/$1;", &["/data/n3"]),
        ("location ~ ^/a(.*)$ { alias /data/n3$1; }", &["/data/n3", "/data/n3*"]),
        ("location ~ ^/a/(.*\\.php)$ { alias /data/n3/$1; }", &["/data/n3"]),
        ("fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;", &[]),
        ("fastcgi_param SCRIPT_FILENAME /scripts$fastcgi_script_name;", &["/scripts", "/scripts*"]),
        ("fastcgi_param SCRIPT_FILENAME /srv/app/index.php;", &["/srv/app"]),
        ("root html;", &["/etc/nginx/html", "/usr/share/nginx/html"]),
        ("http { server { listen 80; } }", &["/etc/nginx/html", "/usr/share/nginx/html"]),
        ("http { server { return 404; } server { location / { proxy_pass http://a; } } }", &[]),
        ("http { root /srv/all; server { listen 80; } }", &["/srv/all"]),
        ("set $a $b; set $b $a; root $a;", &[unknown]),
        ("include snippets/*.conf;", &["/srv/snippet"]),
    ] {
        let found = told(&[
            ("etc/nginx/nginx.conf", text),
            ("etc/nginx/conf.d/m", "x /m;"),
            ("etc/nginx/snippets/a.conf", "root /srv/snippet;"),
        ]);
        assert_eq!(found, is, "{text}");
    }
    let own = [
        ("usr/local/nginx/conf/nginx.conf", "root html; include b;"),
        ("usr/local/nginx/conf/b", "root /b;"),
    ];
    assert_eq!(told(&own), ["/b", "/usr/local/nginx/html"]);
}

#[test]
fn what_lighttpd_and_caddy_serve_by_a_pattern_or_a_variable_is_served() {
    for (text, is) in [
        (
            "var.base = \"/l\"\nalias.url += (\"/b\" => var.base + \"/three\", \"/c\" => \"/four\")",
            &["/four", "/l/three"][..],
        ),
        ("var.base = \"/l\"\nvar.base += \"/m\"\nserver.document-root = var.base", &["/l", "/l/m"]),
        (
            "simple-vhost.document-root = \"/htdocs/\"\nsimple-vhost.server-root = \"/srv/sv/\"",
            &["/srv/sv/*/htdocs"],
        ),
        ("evhost.path-pattern = \"/srv/ev/%3/\"", &["/srv/ev/*"]),
        ("$HTTP[\"host\"] == \"x\" { server.document-root = \"/x\" }", &["/x"]),
        ("$HTTP[\"host\"] =~ \"(.*)\" { server.document-root = \"/x/%1\" }", &["/x"]),
        (
            "server.document-root = env.ROOT + \"/x\"",
            &["? /etc/lighttpd/lighttpd.conf line 1: where server.document-root"],
        ),
        (
            "include \"conf.d/*.conf\"\ninclude_shell \"/usr/share/lighttpd/use-ipv6.pl \" + server.port",
            &["/srv/conf"],
        ),
        ("include_shell \"cat /etc/lighttpd/conf.d/*.conf\"", &["/srv/conf"]),
        (
            "include_shell \"/usr/local/bin/x\"",
            &[
                "? /etc/lighttpd/lighttpd.conf takes a part of its configuration from a program (include_shell)",
            ],
        ),
        ("userdir.path = \"public_html\"", &["/data/homes/h/public_html"]),
        ("userdir.basepath = \"/srv/u/\"\nuserdir.path = \"w\"", &["/srv/u/*/w"]),
    ] {
        let found = told(&[
            ("etc/lighttpd/lighttpd.conf", text),
            ("etc/lighttpd/conf.d/a.conf", "server.document-root = \"/srv/conf\"\n"),
            ("etc/passwd", "h:x:1000:1000::/data/homes/h:/bin/sh\n"),
            ("data/homes/h/public_html/x", ""),
        ]);
        assert_eq!(found, is, "{text}");
    }
    for (text, is) in [
        ("a.b {\n root @m {$WEB:/data/c/five}\n}", &["/data/c/five"][..]),
        ("a.b {\n root * {$WEB}/x\n}", &["? /etc/caddy/Caddyfile line 2: where root"]),
        ("a.b {\n root * {env.WEB}\n}", &["? /etc/caddy/Caddyfile line 2: where root"]),
        ("a.b {\n root * site\n}", &["? /etc/caddy/Caddyfile line 2: where root"]),
        ("*.a.b {\n root * /srv/{labels.2}/w\n}", &["/srv/*/w"]),
        ("a.b {\n php_fastcgi x {\n  root /srv/php\n }\n}", &["/srv/php"]),
        ("a.b {\n php_fastcgi x { root /srv/php }\n root * /srv/q\n}", &["/srv/php", "/srv/q"]),
        (
            "(s) {\n root * {args[0]}/pub\n}\na.b {\n import s /srv/s\n import s /srv/t\n}",
            &["/srv/s/pub", "/srv/t/pub"],
        ),
        ("(s) {\n import s\n import s\n}\nimport s", &[]),
        ("a.b {\n vars w /srv/w\n root * {vars.w}/x\n}", &["/srv/w/x"]),
        ("import ../caddy/sites/*", &["/srv/site"]),
        ("{\n pki {\n ca {\n root {\n cert x\n}\n}\n}\n}", &[]),
    ] {
        let found =
            told(&[("etc/caddy/Caddyfile", text), ("etc/caddy/sites/a", "root * /srv/site")]);
        // What has no end is not followed to one.
        let found: Vec<String> =
            found.into_iter().filter(|f| !f.ends_with("where import")).collect();
        assert_eq!(found, is, "{text}");
    }
    let json = "{\"apps\": [{\"handler\": \"vars\", \"root\": \"/srv/j\"}, {\"root\": \"{http.vars.root}\"}]}";
    assert_eq!(told(&[("etc/caddy/caddy.json", json)]), ["/srv/j"]);
    let unit = "{\"routes\": [{\"action\": {\"share\": \"/srv/u$uri\"}}], \"applications\": {\"a\": {\"root\": \"/srv/v/\"}}}";
    assert_eq!(told(&[("var/lib/unit/conf.json", unit)]), ["/srv/u", "/srv/u*", "/srv/v"]);
}

#[test]
fn servers_that_are_not_read_are_named() {
    let files = testing::Files::of(&[
        ("etc/uwsgi/apps-enabled/a.ini", ""),
        ("etc/uwsgi/apps-enabled/README", ""),
        ("etc/systemd/system/a.service", "[Service]\nExecStart=/usr/bin/php -S 0:80 -t /srv/x\n"),
        ("etc/systemd/system/b.service", "# gunicorn\n[Service]\nExecStart=/bin/true\n"),
    ]);
    let others = document_roots(&files, &mut Vec::new()).others;
    let named: Vec<&str> = others.iter().map(|o| o.what.as_str()).collect();
    assert_eq!(named, ["/etc/uwsgi/apps-enabled/a.ini", "/etc/systemd/system/a.service"]);
}

#[test]
fn below_a_pattern_the_folders_that_it_names_are_told_from_what_lies_in_them() {
    let of = |pattern: &str| Served {
        path: "/srv/vh".into(),
        pattern: Some(pattern.into()),
        by: String::new(),
    };
    for (pattern, path, below) in [
        ("/srv/vh/*", "/srv/vh/old.a", Some("")),
        ("/srv/vh/*", "/srv/vh/old.a/blog.bak", Some("/blog.bak")),
        ("/srv/vh/*", "/srv/vh", None),
        ("/srv/vh/*/web", "/srv/vh/a/old/web/x", Some("/a/old/web/x")),
        ("/srv/vh/*/web", "/srv/vh/old/web/x", Some("/x")),
        ("/srv/vh/*/web", "/srv/vh/a/other", None),
        ("/srv/vh*", "/srv/vhost", Some("")),
    ] {
        assert_eq!(of(pattern).below(path), below, "{pattern} {path}");
    }
}

#[test]
fn every_server_tells_what_it_serves() {
    let apache = served(&[
        (
            "etc/apache2/apache2.conf",
            "ServerRoot \"/etc/apache2\"\nDefine SITE blog\nIncludeOptional sites-enabled/*.conf # all\n",
        ),
        (
            "etc/apache2/sites-enabled/a.conf",
            "<VirtualHost *:80>\n  documentroot \"/srv/${SITE}/htdocs/\"\n  Alias /doc \\\n /usr/share/doc\n WSGIScriptAlias / /srv/moin/moin.wsgi\n DocumentRoot /x/%0/y\n</VirtualHost>\n",
        ),
    ]);
    let by = "/etc/apache2/sites-enabled/a.conf";
    assert_eq!(
        apache,
        [
            format!("/srv/blog/htdocs {by}"),
            format!("/srv/moin {by}"),
            format!("/usr/share/doc {by}"),
            // In a document root, that is no pattern.
            format!("/x/%0/y {by}")
        ]
    );
    let nginx = served(&[
        ("etc/nginx/nginx.conf", "http { include conf.d/*.conf; } # root /no;\n"),
        (
            "etc/nginx/conf.d/x.conf",
            "server { root '/srv/my site'; location /a { alias /opt/a/; } location ~ \\.php$ { root $document_root; } }",
        ),
    ]);
    let by = "/etc/nginx/conf.d/x.conf";
    assert_eq!(nginx, [format!("/opt/a {by}"), format!("/srv/my site {by}")]);
    let lighttpd = served(&[(
        "etc/lighttpd/lighttpd.conf",
        "var.base = \"/srv/w\"\nserver.document-root = var.base + \"/htdocs\"\nalias.url += ( \"/doc\" => \"/usr/share/doc\", )\n# server.document-root = \"/no\"\n",
    )]);
    let by = "/etc/lighttpd/lighttpd.conf";
    assert_eq!(lighttpd, [format!("/srv/w/htdocs {by}"), format!("/usr/share/doc {by}")]);
    let caddy = served(&[
        ("etc/caddy/Caddyfile", "example.org {\n\troot * /srv/caddy # here\n\timport sites/*\n}\n"),
        ("etc/caddy/sites/b", "b.example.org {\n root /srv/b\n}\n"),
    ]);
    assert_eq!(caddy, ["/srv/b /etc/caddy/sites/b", "/srv/caddy /etc/caddy/Caddyfile"]);
}

#[test]
fn files_that_include_each_other_end() {
    let circle = served(&[
        ("etc/nginx/nginx.conf", "include nginx.conf; include a; root /srv/a;"),
        ("etc/nginx/a", "include nginx.conf; include a;"),
    ]);
    assert_eq!(circle, ["/srv/a /etc/nginx/nginx.conf"]);
    let circle = served(&[(
        "etc/apache2/apache2.conf",
        "Include /etc/apache2\nDefine A ${A}${A}\nDocumentRoot /${A}\n",
    )]);
    assert!(circle.is_empty(), "{circle:?}");
}

/// Each would take minutes or gigabytes if it were not bounded; together they take a moment.
#[test]
fn a_hostile_configuration_costs_no_more_than_its_length() {
    let clock = muster_sandbox::monotonic();
    let mains = [
        "etc/apache2/apache2.conf",
        "etc/nginx/nginx.conf",
        "etc/lighttpd/lighttpd.conf",
        "etc/caddy/Caddyfile",
        "etc/caddy/caddy.json",
    ];
    let defined: String = (0..60_000).map(|n| format!("Define a{n} ${{B}}\n")).collect();
    let defined = format!("Define B {}\n{defined}", "x".repeat(4000));
    let texts = [
        "{".repeat(1 << 20),
        "[".repeat(1 << 20),
        "\"".repeat(1 << 20),
        "a ".repeat(1 << 19),
        "alias.url = ( \"/a\" => \"/b\", ".repeat(30_000),
        format!("include \"/{}\"\ninclude /{};", "a/".repeat(400_000), "*/".repeat(100_000)),
        format!("import {}\n", "*/".repeat(400_000)),
        "Include /etc/apache2/*/*/*/*\ninclude /etc/nginx/*/*/*;\n".repeat(15_000),
        format!("DocumentRoot /{}\n", "a".repeat(1_000_000)),
        "root /srv/\0x;\nDocumentRoot /srv/\0x\n".to_owned(),
        defined,
    ];
    for text in &texts {
        for main in mains {
            let told = served(&[(main, text), ("etc/nginx/conf.d/x", text)]);
            assert!(told.iter().all(|s| s.len() < 2 * MAX_PATH && !s.contains('\0')));
        }
    }
    let taken = muster_sandbox::monotonic() - clock;
    assert!(taken.as_secs() < 60, "{taken:?}");
    let mut obstacles = Vec::new();
    let giant = "x".repeat(2 << 20);
    document_roots(&testing::Files::of(&[("etc/nginx/nginx.conf", &giant)]), &mut obstacles);
    assert!(obstacles.iter().any(|o| o.what == "/etc/nginx/nginx.conf"), "{obstacles:?}");
}

#[test]
fn a_list_of_lighttpd_without_an_end_takes_nothing_of_the_next_value() {
    let found = served(&[(
        "etc/lighttpd/lighttpd.conf",
        "alias.url = ( \"/a\" => \"/srv/a\",\nurl.redirect = ( \"/b\" => \"/srv/no\" )\n",
    )]);
    assert_eq!(found, ["/srv/a /etc/lighttpd/lighttpd.conf"]);
}

#[test]
fn a_glob_is_that_of_a_shell() {
    for (pattern, name, fits) in [
        ("*.conf", "a.conf", true),
        ("*.conf", "a.conf~", false),
        ("[0-9]*", "1x", true),
        ("[!0-9]*", "1x", false),
        ("a?c", "abc", true),
        ("a*b*c", "axxbyyc", true),
        ("a*b*c", "axxbyy", false),
        ("[", "[", false),
        ("", "", true),
    ] {
        assert_eq!(glob(pattern.as_bytes(), name.as_bytes()), fits, "{pattern} {name}");
    }
}

proptest! {
    #[test]
    fn no_configuration_is_too_much(text in "(root|alias|include|DocumentRoot|Alias|Define|server.document-root|import|[ \"'{};=+()\\\\\n#$a/*])*") {
        for file in ["etc/apache2/apache2.conf", "etc/nginx/nginx.conf", "etc/lighttpd/lighttpd.conf", "etc/caddy/Caddyfile"] {
            served(&[(file, &text)]);
        }
    }
}
