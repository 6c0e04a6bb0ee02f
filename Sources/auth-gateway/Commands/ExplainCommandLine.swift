// The arguments of `auth-gateway explain`, and its help.

import Configuration

/// A request of `auth-gateway explain`.
struct ExplainRequest: Equatable {
    /// Where a real token comes from.
    enum TokenSource: Equatable {
        case text(String)
        case file(String)
        case standardInput
    }

    var sample: SampleRequest
    var token: TokenSource?
    var isJSON = false
}

/// Parses the arguments of `explain`.
enum ExplainCommandLine {
    private typealias UsageError = CommandLineParser.UsageError

    private struct Options {
        var words: [String] = []
        var configuration: String?
        var source: ExplainRequest.TokenSource?
        /// nil until something is said of a token.
        var token: SampleToken?
        var fields: [FieldText] = []
        var host: String?
        var isInCookie = false
        var isJSON = false
    }

    /// - Returns: the command, or the sentence that says what is wrong.
    static func parse(
        _ arguments: [String], defaultPath: String
    ) -> Result<Command, CommandLineParser.UsageError> {
        if arguments.contains("-h") || arguments.contains("--help") { return .success(.text(help)) }
        do throws(UsageError) {
            let options = try options(arguments)
            let request = try request(options)
            return .success(.explain(request, configuration: options.configuration ?? defaultPath))
        } catch {
            return .failure(error)
        }
    }

    private static func options(_ arguments: [String]) throws(UsageError) -> Options {
        var options = Options()
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            switch argument {
            case "--json": options.isJSON = true
            case "--cookie": options.isInCookie = true
            case "--expired": describe(&options) { $0.isExpired = true }
            case _ where valued.contains(argument):
                guard let value = rest.popFirst() else { throw problem("\(argument) needs a value") }
                try take(argument, value, into: &options)
            case _ where argument.hasPrefix("-") && argument != "-":
                throw problem("'explain' knows no '\(argument)'")
            default: options.words.append(argument)
            }
        }
        return options
    }

    private static let valued: Set<String> = [
        "-c", "--token", "--token-file", "--claim", "--scope", "--subject", "--issuer", "--header", "--host",
    ]

    private static func take(
        _ name: String, _ value: String, into options: inout Options
    ) throws(UsageError) {
        do throws(ValueProblem) {
            switch name {
            case "-c": options.configuration = value
            case "--token": options.source = value == "-" ? .standardInput : .text(value)
            case "--token-file": options.source = .file(value)
            case "--claim":
                let claim = try SampleDecoding.claim(value)
                describe(&options) { $0.claims.append(claim) }
            case "--scope": describe(&options) { $0.scopes.append(value) }
            case "--subject": describe(&options) { $0.subject = value }
            case "--issuer": describe(&options) { $0.issuer = value }
            case "--header": options.fields.append(try field(value))
            default: options.host = value
            }
        } catch {
            throw problem("\(name): '\(value)' \(error.reason): \(error.help)")
        }
    }

    private static func describe(_ options: inout Options, _ change: (inout SampleToken) -> Void) {
        var token = options.token ?? SampleToken()
        change(&token)
        options.token = token
    }

    /// `Name: value`, as curl has it.
    private static func field(_ text: String) throws(ValueProblem) -> FieldText {
        guard let colon = text.firstIndex(of: ":") else { return try SampleDecoding.field(text) }
        let value = text[text.index(after: colon)...].drop { $0 == " " }
        return try SampleDecoding.field(String(text[..<colon]), String(value))
    }

    private static func request(_ options: Options) throws(UsageError) -> ExplainRequest {
        guard (1...2).contains(options.words.count), let target = options.words.last else {
            throw problem("'explain' needs a target, such as: explain GET /admin/users")
        }
        var sample: SampleRequest
        do throws(ValueProblem) {
            let method = try SampleDecoding.method(options.words.count == 2 ? options.words[0] : "GET")
            sample = try SampleDecoding.request(method: method, target: target)
        } catch {
            throw problem("'\(options.words.joined(separator: " "))' \(error.reason): \(error.help)")
        }
        if let host = options.host {
            guard sample.authority == nil, host.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
                throw problem("--host is one host name, and the target has none then")
            }
            sample.authority = host
        }
        if options.source != nil, options.token != nil {
            throw problem("a token is either given or described")
        }
        sample.fields = options.fields
        sample.token = options.token
        if options.isInCookie || options.source != nil {
            var token = options.token ?? SampleToken()
            token.isInCookie = options.isInCookie
            sample.token = token
        }
        return ExplainRequest(sample: sample, token: options.source, isJSON: options.isJSON)
    }

    private static func problem(_ text: String) -> UsageError {
        UsageError(message: "auth-gateway: \(text)\n\n\(synopsis)")
    }

    static let synopsis = """
        usage: auth-gateway explain [METHOD] TARGET [--token T|-] [--token-file F]
                   [--claim NAME=VALUE]… [--scope S]… [--subject S] [--issuer I] [--expired] [--cookie]
                   [--header 'N: V']… [--host H] [--json] [-c FILE]
        """

    private static let help = """
        \(synopsis)

        Says what becomes of a request, by the configuration as it stands in the file: which route takes it,
        each rule with what came of it, and where the request goes, as what, with whose name. Without METHOD
        it is GET; without anything about a token it has none. Nothing is sent anywhere, but for --token.

        --token T       it carries this token, which the running gateway is asked about; - reads it from
                        standard input, --token-file from a file, where no list of processes shows it
        --claim, --scope, --subject, --issuer
                        it carries a token that says so, and is good in all else; the issuer is one of the
                        configuration's 'issuer' blocks, or the gateway where none is given
        --expired       its token has expired
        --cookie        its token comes in the access cookie, as a browser's does
        --header        a field of the request, such as 'Sec-Fetch-Site: same-origin'
        --host          the host that it is for; TARGET may be a whole URL as well

        Rates, revocations and the answers of upstreams are not looked at.
        Exit codes: 0 it gets an answer that is no refusal, 1 it is refused or sent to a login, 2 usage,
        78 bad configuration.
        """
}
