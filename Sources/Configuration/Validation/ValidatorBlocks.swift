// The meaning of the blocks `limits` and `control`.

extension Validator {
    func limits(of main: CheckedBlock) -> LimitsConfiguration {
        let block = block(main.entry("limits"), .limits)
        var limits = LimitsConfiguration()
        if let size = size("request_header", of: block) { limits.requestHeaderBytes = Int(size) }
        readNumber("header_count", of: block, into: &limits.headerCount)
        if let size = size("request_body", of: block) { limits.requestBodyBytes = size }
        readNumber("connections", of: block, into: &limits.connections)
        readNumber("connections_per_address", of: block, into: &limits.connectionsPerAddress)
        readDuration("header_timeout", of: block, into: &limits.headerTimeoutMilliseconds)
        readDuration("body_timeout", of: block, into: &limits.bodyTimeoutMilliseconds)
        readDuration("idle_timeout", of: block, into: &limits.idleTimeoutMilliseconds)
        if let entry = block.entry("minimum_rate"), let rate = value(of: entry, decode: Self.minimumRate) {
            limits.minimumBytesPerSecond = rate
        }
        if let size = size("access_token", of: block) { limits.accessTokenBytes = Int(size) }
        if limits.accessTokenBytes > limits.requestHeaderBytes, let entry = block.entry("access_token") {
            let header = ValueDecoding.sizeText(UInt64(limits.requestHeaderBytes))
            report.warning(
                "no request can bring a token this long: the whole head may have \(header)",
                at: entry.location,
                help: "'request_header' takes up to \(ValueDecoding.sizeText(1 << 20))")
        }
        return limits
    }

    /// `off`, or a size for each second.
    private static func minimumRate(_ text: String) throws(ValueProblem) -> UInt64 {
        if text == "off" { return 0 }
        guard text.hasSuffix("/s") else {
            throw ValueProblem(
                reason: "is not a rate of bytes", help: "off, or a size for each second, such as 512b/s")
        }
        return try ValueDecoding.size(String(text.dropLast(2)), in: DirectiveTable.minimumRate)
    }

    func control(of main: CheckedBlock, listeners: [Listen]) -> ControlConfiguration? {
        guard let opening = main.entry("control") else { return nil }
        let block = block(opening, .control)
        let secret = block.entry("secret").flatMap(bearerSecret)
        guard let entry = block.entry("listen") else {
            if !block.attempted("listen"), !report.isIncomplete {
                report.error(
                    "'control' has no 'listen'", at: opening.location, help: "add: listen 127.0.0.1:9901;")
            }
            return nil
        }
        guard let address = value(of: entry, decode: AddressDecoding.listenAddress) else { return nil }
        let listen = Listen(
            configuration: ListenerConfiguration(address: address), location: entry.location)
        reportDuplicate(listen, of: listeners)
        let isOpen = !address.isLocal && !block.attempted("secret")
        if isOpen, !report.isIncomplete {
            report.error(
                "a control listener that is not on a loopback address needs a secret", at: entry.location,
                help: "add: secret file:/etc/auth-gateway/control.secret; or listen on 127.0.0.1")
        }
        var control = ControlConfiguration(address: address, secret: secret)
        control.place = report.sourcePlace(entry.location)
        return control
    }
}
