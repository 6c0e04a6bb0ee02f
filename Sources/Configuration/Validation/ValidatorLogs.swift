// The meaning of the block `logs`: where the three logs go, and in which form.

extension Validator {
    func logs(of main: CheckedBlock) -> LogsConfiguration {
        let block = block(main.entry("logs"), .logs)
        var logs = LogsConfiguration()
        if let entry = block.entry("access") {
            // A format stands right behind the destination, options behind both.
            let hasFormat = entry.arguments.count > 1 && !entry.arguments[1].text.contains("=")
            if let destination = destination(entry, optionsAfter: hasFormat ? 2 : 1) {
                logs.access = destination
            }
            let format = hasFormat ? value(of: entry, 1, decode: Self.format) : nil
            if let format { logs.accessFormat = format }
        }
        if let destination = destination(block.entry("audit")) { logs.audit = destination }
        if let destination = destination(block.entry("error"), mayBeOff: false) { logs.error = destination }
        let level = checkChoice(block.entry("level"))
        if let level = level.flatMap(LogsConfiguration.Level.init(rawValue:)) { logs.level = level }
        return logs
    }

    private static func format(_ text: String) throws(ValueProblem) -> LogsConfiguration.Format {
        let word = try ValueDecoding.choice(text, of: ["json", "combined"])
        return word == "json" ? .json : .combined
    }

    private func destination(
        _ entry: Entry?, optionsAfter count: Int = 1, mayBeOff: Bool = true
    ) -> LogsConfiguration.Destination? {
        guard let entry, let path = filePath(entry) else { return nil }
        if path == "syslog" || path.hasPrefix("syslog:") { return syslog(entry, path, optionsAfter: count) }
        if let option = entry.arguments.dropFirst(count).first {
            reportProblem(
                ValueProblem(
                    reason: "is no option of this destination", help: "facility= and tag= are syslog's"),
                with: option)
            return nil
        }
        switch path {
        case "off" where mayBeOff: return .off
        case "stdout": return .stdout
        case "stderr": return .stderr
        default:
            // A misspelt `stdout` would otherwise be a file of that name.
            let words = (mayBeOff ? ["off"] : []) + ["stdout", "stderr", "syslog"]
            let isFile = path.contains("/") || path.contains(".")
            let isMisspelt = path == "off" || EditDistance.nearest(to: path, in: words) != nil
            return isFile || !isMisspelt ? .file(path) : misspelt(entry, words)
        }
    }

    private func misspelt(_ entry: Entry, _ words: [String]) -> LogsConfiguration.Destination? {
        value(of: entry) { text throws(ValueProblem) in
            var problem = ValueProblem(reason: "is not a destination", help: "")
            do throws(ValueProblem) {
                _ = try ValueDecoding.choice(text, of: words)
            } catch {
                problem.help = error.help + ", or a path: ./logs/access.log"
            }
            throw problem
        }
    }

    /// `syslog[:unix:PATH] [facility=NAME] [tag=NAME]`
    private func syslog(
        _ entry: Entry, _ text: String, optionsAfter count: Int
    ) -> LogsConfiguration.Destination? {
        var syslog = LogsConfiguration.Syslog()
        if text != "syslog" {
            let path = value(of: entry, decode: Self.syslogPath)
            guard let path else { return nil }
            syslog.path = path
        }
        let options = options(of: entry, after: count, names: ["facility", "tag"])
        let facility = value(of: options["facility"]) { text throws(ValueProblem) in
            try ValueDecoding.choice(text, of: LogsConfiguration.Facility.allCases.map(\.rawValue))
        }
        if let facility = facility.flatMap(LogsConfiguration.Facility.init(rawValue:)) {
            syslog.facility = facility
        }
        if let tag = value(of: options["tag"], decode: Self.syslogTag) { syslog.tag = tag }
        return .syslog(syslog)
    }

    private static func syslogPath(_ text: String) throws(ValueProblem) -> String {
        let prefix = "syslog:unix:"
        let path = String(text.dropFirst(prefix.utf8.count))
        // unix(7): 108 bytes with the NUL behind them.
        guard text.hasPrefix(prefix), path.hasPrefix("/"), path.utf8.count <= 107 else {
            throw ValueProblem(
                reason: "is not a syslog daemon",
                help: "syslog, or the whole path of its socket, up to 107 bytes: syslog:unix:/dev/log")
        }
        return path
    }

    /// RFC 3164 §4.1.3: "The TAG is a string of ABNF alphanumeric characters that MUST NOT exceed 32
    /// characters"; a hyphen has always been taken as well.
    private static func syslogTag(_ text: String) throws(ValueProblem) -> String {
        let isPlain = text.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
                true
            default: false
            }
        }
        guard isPlain, (1...32).contains(text.utf8.count) else {
            throw ValueProblem(
                reason: "is not a tag",
                help: "up to 32 letters, digits, - and _, such as tag=auth-gateway")
        }
        return text
    }
}
