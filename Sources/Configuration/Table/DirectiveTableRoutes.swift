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
            "require", in: [.route], .arguments("scope SCOPE…|claim NAME VALUE…", 2...100),
            example: "require claim role admin;", repeats: true,
            "What the access token must grant: each scope, and one of the values of each claim."),
        Directive(
            "identity_header", in: [.route], .arguments("FIELD claim CLAIM", 3...3),
            example: "identity_header X-Auth-Role claim role;", repeats: true,
            "Tells the upstream a claim of the token in a header field that no client can forge."),
        Directive(
            "request_body", in: [.route], .size(requestBody), example: "request_body 1g;",
            "The largest request body on this route; that of 'limits' where it is not given."),
    ]

    static let cors: [Directive] = []
}
