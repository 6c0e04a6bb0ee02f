// `auth-gateway check`: reads a configuration and prints everything that is wrong with it. Needs no
// state and no network; of keys only those that the configuration names.

import Configuration
import Network
import Primitives
import Proxy

/// Checks a configuration file.
enum CheckCommand {
    static func run(path: String) -> ExitCode {
        let loaded = ConfigurationLoader.load(path: path, files: SystemFiles())
        for diagnostic in loaded.diagnostics { Console.error(diagnostic.rendered) }
        guard let configuration = loaded.configuration else {
            Console.error(summary(loaded, path))
            return .configuration
        }
        for warning in pastExchanges(of: configuration, at: Clock.wall) {
            Console.error("warning: \(warning)")
        }
        let remarks = GatewayTLS.remarks(on: configuration, at: Clock.wall)
        for remark in remarks { Console.error("\(remark.isError ? "error" : "warning"): \(remark.text)") }
        let problem =
            IssuerTarget.problem(of: configuration) ?? ExchangeTarget.problem(of: configuration)
            ?? OwnKeys.problem(in: configuration.accessToken)
        if let problem { Console.error("error: \(problem)") }
        if remarks.contains(where: \.isError) || problem != nil { return .configuration }
        Console.print("\(path): the configuration is valid")
        return .success
    }

    /// What is exchanged no more, though whoever reads the configuration may think that it is.
    private static func pastExchanges(of configuration: GatewayConfiguration, at now: WallTime) -> [String] {
        configuration.refreshToken.exchanges.filter { $0.until * 1_000 <= now.milliseconds }.map {
            let last = CivilTime(WallTime(seconds: $0.until - 1)).rfc3339.prefix(10)
            return "\($0.place): nothing is exchanged here since the end of \(last): take this block out"
        }
    }

    /// The configuration that a command works by; nil where it is not valid, which has been said then.
    static func configuration(at path: String) -> GatewayConfiguration? {
        let loaded = ConfigurationLoader.load(path: path, files: SystemFiles())
        if let configuration = loaded.configuration { return configuration }
        for diagnostic in loaded.diagnostics { Console.error(diagnostic.rendered) }
        Console.error(summary(loaded, path))
        return nil
    }

    static func summary(_ loaded: LoadedConfiguration, _ path: String) -> String {
        let errors = loaded.diagnostics.count { $0.severity == .error }
        return "\(path): \(errors) \(errors == 1 ? "error" : "errors")"
    }
}

/// The file system and environment, as the configuration loader wants them.
struct SystemFiles: ConfigurationFiles {
    func read(_ path: String) -> Result<[UInt8], ConfigurationFileProblem> {
        do throws(SystemError) {
            return .success(try Files.read(path))
        } catch {
            return .failure(ConfigurationFileProblem(reason: error.reason))
        }
    }

    func paths(matching glob: String) -> [String] { Files.paths(matching: glob) }

    func environmentValue(_ name: String) -> String? { Files.environment(name) }
}
