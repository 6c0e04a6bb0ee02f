// The meaning of `upstream`: its servers, and how they are chosen, watched and waited for.
//
// A route names its upstream, so upstreams are read first. A name counts as known even where its block is
// faulty or misspelt: that is one mistake and not two.

extension Validator {
    /// The upstreams of a configuration, by name.
    struct Upstreams {
        var configurations: [UpstreamConfiguration] = []
        var indices: [String: Int] = [:]
        /// Faulty ones too.
        var names: Set<String> = []
    }

    func upstreams(of main: CheckedBlock) -> Upstreams {
        var upstreams = Upstreams()
        let attempts = main.attempts.filter { $0.name == "upstream" }
        upstreams.names = Set(attempts.compactMap { $0.statement.arguments.first?.text })
        var firsts: [String: SourceLocation] = [:]
        for entry in main.entries("upstream") {
            let upstream = upstream(of: block(entry, .upstream), opening: entry)
            guard let name = plainText(entry, 0, what: "a name", example: "'api'") else { continue }
            if let first = firsts[name] {
                report.error(
                    "there is another upstream of this name", at: entry.arguments[0].location,
                    help: "it was first given at \(report.place(first))")
                continue
            }
            firsts[name] = entry.location
            upstreams.indices[name] = upstreams.configurations.count
            upstreams.configurations.append(upstream)
        }
        return upstreams
    }

    private func upstream(of block: CheckedBlock, opening: Entry) -> UpstreamConfiguration {
        var upstream = UpstreamConfiguration(
            name: opening.arguments[0].text, servers: servers(of: block, opening: opening))
        upstream.place = report.sourcePlace(opening.location)
        let balance = checkChoice(block.entry("balance"))
        if let balance = balance.flatMap(UpstreamConfiguration.Balance.init(rawValue:)) {
            upstream.balance = balance
        }
        readTLS(of: block, into: &upstream)
        upstream.healthCheck = healthCheck(of: block)
        readNumber("max_fails", of: block, into: &upstream.failuresMax)
        readDuration("fail_timeout", of: block, into: &upstream.failWindowMilliseconds)
        readDuration("slow_start", of: block, into: &upstream.slowStartMilliseconds)
        readCapacity(
            block.entry("queue"), count: DirectiveTable.queueLength, timeout: DirectiveTable.queueTimeout,
            into: &upstream.queueMax, &upstream.queueTimeoutMilliseconds)
        readNumber("tries", of: block, into: &upstream.triesMax)
        readDuration("resolve", of: block, into: &upstream.resolveMilliseconds)
        readDuration("connect_timeout", of: block, into: &upstream.connectTimeoutMilliseconds)
        readDuration("response_timeout", of: block, into: &upstream.responseTimeoutMilliseconds)
        readDuration("idle_timeout", of: block, into: &upstream.idleTimeoutMilliseconds)
        readDuration("tunnel_timeout", of: block, into: &upstream.tunnelTimeoutMilliseconds)
        readCapacity(
            block.entry("keepalive"), count: DirectiveTable.keepaliveConnections,
            timeout: DirectiveTable.keepaliveTimeout, into: &upstream.keepaliveConnections,
            &upstream.keepaliveMilliseconds)
        if upstream.keepaliveConnections == 0, let keepalive = block.entry("keepalive") {
            report.warning(
                "every request opens a connection of its own", at: keepalive.location,
                help: "keepalive 128; is the default")
        }
        return upstream
    }

    /// `NUMBER [timeout=DURATION]`: how many are kept, and how long.
    private func readCapacity(
        _ entry: Entry?, count: ClosedRange<Int>, timeout: ClosedRange<Int64>, into number: inout Int,
        _ milliseconds: inout Int64
    ) {
        guard let entry else { return }
        let decodedNumber = value(of: entry) { text throws(ValueProblem) in
            try ValueDecoding.number(text, in: count)
        }
        if let decodedNumber { number = decodedNumber }
        let options = options(of: entry, after: 1, names: ["timeout"])
        let decodedTimeout = value(of: options["timeout"]) { text throws(ValueProblem) in
            try ValueDecoding.duration(text, in: timeout)
        }
        if let decodedTimeout { milliseconds = decodedTimeout }
    }
}

// MARK: - Servers

extension Validator {
    private func servers(of block: CheckedBlock, opening: Entry) -> [ServerConfiguration] {
        if !block.attempted("server"), !report.isIncomplete {
            report.error(
                "this upstream has no 'server'", at: opening.location,
                help: "add: server http://127.0.0.1:9000;")
        }
        var servers: [ServerConfiguration] = []
        var firsts: [ServerAddress: SourceLocation] = [:]
        var isMixed = false
        for entry in block.entries("server") {
            guard let server = server(entry) else { continue }
            if let first = firsts[server.address] {
                report.error(
                    "this server is given twice", at: entry.arguments[0].location,
                    help: "it was first given at \(report.place(first)); weight=2 gives it twice the share")
                continue
            }
            firsts[server.address] = entry.location
            if let other = servers.first, other.usesTLS != server.usesTLS, !isMixed {
                isMixed = true
                let place = firsts[other.address].map { report.place($0) } ?? ""
                report.error(
                    "servers with and without TLS are mixed in one upstream", at: entry.arguments[0].location,
                    help: "the one at \(place) is \(other.usesTLS ? "" : "not ")https://; make two upstreams")
            }
            servers.append(server)
        }
        return servers
    }

    private func server(_ entry: Entry) -> ServerConfiguration? {
        let decoded = value(of: entry, decode: Self.server)
        let options = options(of: entry, after: 1, names: ["weight", "connections"])
        let weight = value(of: options["weight"]) { text throws(ValueProblem) in
            try ValueDecoding.number(text, in: DirectiveTable.serverWeight)
        }
        let connections = value(of: options["connections"]) { text throws(ValueProblem) in
            try ValueDecoding.number(text, in: DirectiveTable.serverConnections)
        }
        guard var server = decoded else { return nil }
        if let weight { server.weight = weight }
        server.connectionsMax = connections
        return server
    }

    private static func server(_ text: String) throws(ValueProblem) -> ServerConfiguration {
        if text.hasPrefix("unix:") {
            return ServerConfiguration(address: .unix(path: try AddressDecoding.socketPath(text)))
        }
        let example = "http://127.0.0.1:9000"
        let parts = try AddressDecoding.url(text, example: "\(example) or unix:/run/api.sock")
        if !parts.rest.isEmpty {
            throw ValueProblem(
                reason: "has a path", help: "a server is an address alone, such as \(example)")
        }
        let usesTLS = parts.scheme == "https"
        let port = parts.port ?? (usesTLS ? 443 : 80)
        var server = ServerConfiguration(address: .name(host: parts.host, port: port))
        var name = parts.host
        if name == "localhost" {
            // Not looked up: whatever a machine's files say of it, it is this machine.
            server.address = .ip(host: "127.0.0.1", port: port)
        } else if let bytes = IPLiteral.bytes(of: name) {
            name = IPLiteral.text(of: bytes)
            server.address = .ip(host: name, port: port)
        }
        if usesTLS { server.certificateName = name }
        return server
    }
}

// MARK: - Health checks

extension Validator {
    private func healthCheck(of block: CheckedBlock) -> HealthCheckConfiguration? {
        guard let entry = block.entry("health_check") else { return nil }
        let path = value(of: entry) { text throws(ValueProblem) in
            try RoutePath.requestTarget(text, example: "/healthz")
        }
        let inside = self.block(entry, .healthCheck)
        var check = HealthCheckConfiguration(path: path ?? "/")
        readDuration("every", of: inside, into: &check.intervalMilliseconds)
        readDuration("timeout", of: inside, into: &check.timeoutMilliseconds)
        readNumber("fails", of: inside, into: &check.failuresMax)
        readNumber("passes", of: inside, into: &check.passesMin)
        if check.timeoutMilliseconds >= check.intervalMilliseconds,
            let entry = inside.entry("timeout") ?? inside.entry("every")
        {
            let timeout = ValueDecoding.durationText(check.timeoutMilliseconds)
            let interval = ValueDecoding.durationText(check.intervalMilliseconds)
            report.error(
                "'timeout' is not shorter than 'every'", at: entry.location,
                help: "a check is over before the next begins; timeout is \(timeout), every \(interval)")
        }
        return check
    }
}
