// The rows of `route`, and of the block that stands in it.

extension DirectiveTable {
    static let route: [Directive] = [
        Directive(
            "upstream", in: [.route], .arguments("NAME", 1...1), example: "upstream api;",
            "The upstream that the requests of this route go to."),
        Directive(
            "access", in: [.route], .choice(["required", "optional", "anonymous"]), default: "required",
            "Whether a request needs a valid access token, may carry one, or is not asked."),
        Directive(
            "login", in: [.route], .none,
            "Session-Start in the upstream's answer begins a session."),
        Directive(
            "session_control", in: [.route], .none,
            "Session-End in the upstream's answer ends sessions."),
        Directive(
            "require", in: [.route], .arguments("scope SCOPE…|claim CLAIM VALUE…", 2...100),
            example: "require claim role admin;", repeats: true,
            "What the access token must grant: each scope, and one of the values of each claim."),
        Directive(
            "identity_header", in: [.route], .arguments("FIELD claim CLAIM", 3...3),
            example: "identity_header X-Auth-Role claim role;", repeats: true,
            "Tells the upstream a claim in a field that no client can forge; dots lead inwards, =a.b is one."
        ),
        Directive(
            "request_body", in: [.route], .size(requestBody), example: "request_body 1g;",
            "The largest request body on this route; that of 'limits' where it is not given."),
        Directive(
            "strip_prefix", in: [.route], .arguments("[PATH]", 0...1), example: "strip_prefix /api;",
            "Forwards the path without the route's own, /old/a as /a, or without a beginning of it."),
        Directive(
            "set_header", in: [.route], .arguments("FIELD VALUE", 2...2),
            example: "set_header X-Api-Version 1;", repeats: true,
            "Sets a field of the forwarded request; Host and Authorization too, but no Cookie."),
        Directive(
            "remove_header", in: [.route], .arguments("FIELD", 1...1),
            example: "remove_header Cookie;", repeats: true,
            "Removes a field from the forwarded request; Cookie and Authorization too, but not Host."),
        Directive(
            "methods", in: [.route], .arguments("METHOD…", 1...50), example: "methods GET HEAD;",
            "The request methods that the route takes; every one where it is not given."),
        Directive(
            "response_timeout", in: [.route], .duration(responseTimeout), example: "response_timeout 5m;",
            "As in 'upstream', whose own it replaces on this route."),
        Directive(
            "idle_timeout", in: [.route], .duration(responseTimeout), example: "idle_timeout 5m;",
            "As in 'upstream', whose own it replaces on this route."),
        Directive(
            "tunnel_timeout", in: [.route], .duration(tunnelTimeout), example: "tunnel_timeout 8h;",
            "As in 'upstream', whose own it replaces on this route."),
        Directive(
            "respond", in: [.route], .arguments("STATUS [\"TEXT\"] [TYPE]", 1...3),
            bounds: "STATUS \(ValueDecoding.rangeText(respondStatus)), not 206 or 304"
                + " · TEXT at most \(ValueDecoding.sizeText(UInt64(respondTextBytesMax)))",
            example: "respond 200 \"pong\";",
            "The gateway answers itself, in place of an 'upstream'; TYPE is text/plain by default."),
        Directive(
            "rate", in: [.route], .arguments("N/s|N/m|N/h [burst=N] [by=address|subject]", 1...3),
            bounds: rateBounds, example: "rate 5/s burst=10 by=subject;",
            "How many requests each client may make on this route; by address where nothing is said."),
        Directive(
            "cors", in: [.route], .arguments("", 0...0), opens: .cors,
            "Which pages of other origins may call this route; the gateway answers their preflights."),
        Directive(
            "login_page", in: [.route], .arguments("PATH", 1...1), example: "login_page /login.html;",
            "Where a page navigation without a session is sent, in place of a bare 401."),
        Directive(
            "observe", in: [.route], .none,
            "What would be refused here is logged and let through: for the days of moving in, not for good."),
    ]

    static let respondStatus = 200...599
    static let respondTextBytesMax = 64 << 10
    static let fieldValueBytesMax = 4_096

    static let cors: [Directive] = [
        Directive(
            "origins", in: [.cors], .arguments("ORIGIN…|*", 1...1_000),
            example: "origins https://app.example.com;",
            "The origins whose pages may call; * is any, and then without credentials."),
        Directive(
            "credentials", in: [.cors], .choice(["on", "off"]), default: "off",
            "Whether such calls may carry cookies."),
        Directive(
            "methods", in: [.cors], .arguments("METHOD…", 1...50), example: "methods GET POST DELETE;",
            "The methods that a preflight allows; the common ones where it is not given."),
        Directive(
            "headers", in: [.cors], .arguments("FIELD…", 1...100),
            example: "headers Authorization Content-Type;",
            "The request fields that a preflight allows; whatever it asks for where it is not given."),
        Directive(
            "expose", in: [.cors], .arguments("FIELD…", 1...100), example: "expose ETag X-Total-Count;",
            "The response fields that scripts may read, beside those that they always may."),
        Directive(
            "max_age", in: [.cors], .duration(0...day), default: "10m",
            "How long a browser may remember the answer to a preflight."),
    ]
}
