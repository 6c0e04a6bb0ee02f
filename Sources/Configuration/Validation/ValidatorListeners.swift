// The meaning of `listen`, `trusted_proxies` and `public_url`: where clients come in, what they are told the
// gateway's address is, and whether the two agree on TLS.

extension Validator {
    /// A listener with the place that it was given at.
    struct Listen {
        var configuration: ListenerConfiguration
        var location: SourceLocation
        /// One of its options is wrong, and reported.
        var isFaulty = false

        var address: ListenAddress { configuration.address }
        var security: ListenerConfiguration.Security { configuration.security }
    }

    func listeners(of main: CheckedBlock) -> [Listen] {
        var listens: [Listen] = []
        for entry in main.entries("listen") {
            guard let listen = listen(entry) else { continue }
            reportDuplicate(listen, of: listens)
            listens.append(listen)
        }
        if !main.attempted("listen"), !report.isIncomplete {
            report.error("there is no 'listen'", at: nil, help: "add: listen 0.0.0.0:8080;")
        }
        return listens
    }

    /// The address, and behind it the options in any order.
    private func listen(_ entry: Entry) -> Listen? {
        var words: Set<String> = []
        var isFaulty = false
        for (index, argument) in entry.arguments.enumerated().dropFirst() {
            let word = value(of: entry, index) { text throws(ValueProblem) in
                try ValueDecoding.choice(text, of: ["tls", "redirect_to_https", "proxy_protocol"])
            }
            let problem: ValueProblem
            if word.map({ !words.insert($0).inserted }) ?? false {
                problem = ValueProblem(reason: "is given twice", help: "keep one of them")
            } else if words.isSuperset(of: ["tls", "redirect_to_https"]) {
                problem = ValueProblem(
                    reason: "does not go with '\(word == "tls" ? "redirect_to_https" : "tls")'",
                    help: "what comes in by TLS needs no redirect; each takes a listener of its own")
            } else {
                isFaulty = isFaulty || word == nil
                continue
            }
            isFaulty = true
            reportProblem(problem, with: argument)
        }
        guard let address = value(of: entry, decode: AddressDecoding.listenAddress) else { return nil }
        var configuration = ListenerConfiguration(
            address: address, expectsProxyProtocol: words.contains("proxy_protocol"))
        if words.contains("tls") {
            configuration.security = .tls
        } else if words.contains("redirect_to_https") {
            configuration.security = .redirectsToHTTPS
        }
        return Listen(configuration: configuration, location: entry.location, isFaulty: isFaulty)
    }

    /// Whether every listener is known as it was meant, so that the absence of an option proves something.
    func areKnown(_ listeners: [Listen], of main: CheckedBlock) -> Bool {
        !report.isIncomplete && listeners.count == main.attempts.count { $0.name == "listen" }
            && !listeners.contains(where: \.isFaulty)
    }

    func reportDuplicate(_ listen: Listen, of others: [Listen]) {
        guard let first = others.first(where: { $0.address.isSame(as: listen.address) }) else { return }
        report.error(
            "this address is listened on already", at: listen.location,
            help: "it was first given at \(report.place(first.location))")
    }

    func readTrustedProxies(
        of main: CheckedBlock, listeners: [Listen], into configuration: inout GatewayConfiguration
    ) {
        let entries = main.entries("trusted_proxies")
        var isFaulty = entries.count < main.attempts.count { $0.name == "trusted_proxies" }
        for entry in entries {
            for (index, argument) in entry.arguments.enumerated() {
                if argument.text == "unix" {
                    configuration.trustsUnixPeers = true
                    continue
                }
                guard let range = value(of: entry, index, decode: AddressDecoding.addressRange) else {
                    isFaulty = true
                    continue
                }
                configuration.trustedProxies.append(range)
                if range.prefixBits == 0 {
                    report.warning(
                        "every client is believed about where it comes from", at: argument.location,
                        help: "name the addresses of the proxies alone, such as 10.0.0.0/8")
                }
            }
        }
        if !configuration.trustedProxies.isEmpty || isFaulty || report.isIncomplete { return }
        for listen in listeners where listen.configuration.expectsProxyProtocol && !listen.address.isLocal {
            report.error(
                "anyone who connects here could claim any address: nobody is named as a proxy",
                at: listen.location,
                help: "add: trusted_proxies 10.0.0.0/8; with the addresses of your proxies")
        }
    }

    func publicURL(of main: CheckedBlock, issuer: String?, listeners: [Listen]) -> PublicURL? {
        if let entry = main.entry("public_url") {
            let example = "https://api.example.com"
            return value(of: entry) { text throws(ValueProblem) in
                let parts = try AddressDecoding.url(text, example: example)
                let origin = Self.origin(of: parts)
                if !parts.rest.isEmpty {
                    throw ValueProblem(
                        reason: "has a path", help: "scheme, host and port alone, such as \(example)")
                }
                return origin
            }
        }
        if main.attempted("public_url") { return nil }
        if let issuer, let parts = try? AddressDecoding.url(issuer, example: "") {
            return Self.origin(of: parts)
        }
        guard let first = listeners.first else { return nil }
        if listeners.count > 1 {
            report.error(
                "'public_url' is needed where there are several listeners", at: listeners[1].location,
                help: "add: public_url https://api.example.com;")
            return nil
        }
        if first.security == .redirectsToHTTPS {
            report.error(
                "'public_url' is needed to redirect to", at: first.location,
                help: "add: public_url https://api.example.com;")
            return nil
        }
        let scheme = first.security == .tls ? "https" : "http"
        let url = Self.origin(
            of: URLParts(scheme: scheme, host: "localhost", port: first.address.port, rest: ""))
        report.warning(
            "'public_url' is not given and taken to be \(url.origin)", at: first.location,
            help: "add: public_url \(url.origin); or the origin that clients use")
        return url
    }

    /// Who terminates TLS is said by the public URL, the listeners and the proxies, and they have to agree.
    func checkTransport(_ url: PublicURL, of main: CheckedBlock, listeners: [Listen]) {
        let given = main.entry("public_url")?.arguments[0].location
        let location = given ?? listeners.first?.location
        let hasTLS = listeners.contains { $0.security == .tls }
        let redirecting = listeners.filter { $0.security == .redirectsToHTTPS }
        switch url.scheme {
        case .http:
            let cookies = "access and refresh cookies travel without Secure"
            let parts = try? AddressDecoding.url(url.origin, example: "")
            // RFC 6761 §6.3: names below localhost are loopback too, and browsers take them for that.
            let isLoopback = parts?.isLoopback == true || parts?.host.hasSuffix(".localhost") == true
            if hasTLS {
                report.warning(
                    "\(cookies) although a listener has TLS: the public URL is plain http", at: location,
                    help: "add: public_url https://api.example.com; with the name of its certificate")
            } else if let given, !isLoopback {
                // Fetch Metadata §2: no Sec-Fetch field "if ... not a potentially trustworthy URL".
                report.warning(
                    "browsers cannot log in by plain http, where they do not say whose page a request comes"
                        + " from: they get JSON; and cookies travel without Secure", at: given,
                    help: "use https://, or a loopback host to develop with, such as http://localhost:8080")
            }
            for listen in redirecting {
                report.error(
                    "there is no https to redirect to: the public URL is plain http", at: listen.location,
                    help: "add: public_url https://api.example.com;")
            }
        case .https:
            guard !hasTLS, areKnown(listeners, of: main) else { return }
            for listen in redirecting {
                report.warning(
                    "no listener has TLS: what is redirected comes back only if a proxy in front takes it",
                    at: listen.location, help: "add: listen 0.0.0.0:443 tls; unless there is such a proxy")
            }
            if main.attempted("trusted_proxies") { return }
            report.warning(
                "nothing says who terminates TLS: no listener has it, and no proxy's X-Forwarded-Proto is"
                    + " believed", at: location,
                help: "add: listen 0.0.0.0:443 tls; or name the proxy in front: trusted_proxies 10.0.0.5;")
        }
    }

    private static func origin(of parts: URLParts) -> PublicURL {
        let scheme = parts.scheme == "https" ? PublicURL.Scheme.https : .http
        let ownPort: UInt16 = scheme == .https ? 443 : 80
        let port = parts.port.map { $0 == ownPort ? "" : ":\($0)" } ?? ""
        return PublicURL(scheme: scheme, authority: parts.bracketedHost + port)
    }
}
