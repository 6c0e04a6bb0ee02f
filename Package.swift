// swift-tools-version: 6.2
//
// The targets, ground floor to top: an arrow only ever points down (ARCHITECTURE.md draws the same picture).
// No package is fetched: the toolchain, plus the system libraries of libssl-dev and libsqlite3-dev.

import PackageDescription

/// What every Swift target is built with: Swift 6, explicit imports and existentials, unsafe code marked or
/// refused.
let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
]

/// - Parameter files: become a part of the program; read as `PackageResources`.
func layer(
    _ name: String, on dependencies: [Target.Dependency], embedding files: [String] = []
) -> Target {
    .target(
        name: name, dependencies: dependencies, resources: files.map { .embedInCode($0) },
        swiftSettings: settings)
}

func program(_ name: String, on dependencies: [Target.Dependency]) -> Target {
    .executableTarget(name: name, dependencies: dependencies, swiftSettings: settings)
}

func tests(_ name: String, of dependencies: [Target.Dependency], exclude: [String] = []) -> Target {
    .testTarget(name: name, dependencies: dependencies, exclude: exclude, swiftSettings: settings)
}

let package = Package(
    name: "auth-gateway",
    products: [
        .executable(name: "auth-gateway", targets: ["auth-gateway"]),
        .executable(name: "demo-api", targets: ["demo-api"]),
    ],
    targets: [
        .target(name: "CLinux"),
        .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),

        layer("Primitives", on: []),
        layer("HTTP", on: ["Primitives"]),
        layer("Crypto", on: ["COpenSSL", "Primitives"]),
        layer("SQLite", on: ["CSQLite"]),
        layer("JOSE", on: ["Crypto", "Primitives"]),
        layer("TLS", on: ["COpenSSL", "Primitives"]),
        layer("Network", on: ["CLinux", "TLS", "Primitives"]),
        layer("Observability", on: ["Primitives"]),
        layer("Sessions", on: ["SQLite", "JOSE", "Crypto", "Observability", "Primitives"]),
        layer("Configuration", on: ["Primitives"]),
        layer(
            "Proxy",
            on: [
                "HTTP", "Network", "TLS", "JOSE", "Crypto", "Sessions", "Configuration", "Observability",
                "Primitives",
            ], embedding: ["Endpoints/client.js"]),

        program(
            "auth-gateway",
            on: [
                "Proxy", "Configuration", "Sessions", "JOSE", "Crypto", "TLS", "Network", "Observability",
                "Primitives",
            ]),
        program("demo-api", on: ["Network", "HTTP", "Primitives"]),

        .target(
            name: "Support", dependencies: ["HTTP", "Primitives"], path: "Tests/Support",
            swiftSettings: settings),
        tests("TidyTests", of: ["Configuration"]),
        tests("PrimitivesTests", of: ["Primitives", "Support"]),
        tests("HTTPTests", of: ["HTTP", "Primitives", "Support"], exclude: ["Fixtures"]),
        tests("TLSTests", of: ["TLS", "Primitives", "Support"]),
        tests("NetworkTests", of: ["Network", "Primitives", "Support", "TLS"]),
        tests("CryptoTests", of: ["Crypto", "Primitives"]),
        tests("JOSETests", of: ["JOSE", "Crypto", "Primitives", "Support"]),
        tests("ObservabilityTests", of: ["Observability", "Primitives"]),
        tests(
            "ProxyTests",
            of: [
                "Proxy", "Configuration", "Crypto", "HTTP", "JOSE", "Network", "Observability", "Primitives",
                "Sessions", "Support", "TLS",
            ]),
        tests("ConfigurationTests", of: ["Configuration", "Primitives"], exclude: ["Fixtures"]),
        tests("SQLiteTests", of: ["SQLite"]),
        tests(
            "SessionsTests",
            of: ["Sessions", "SQLite", "JOSE", "Crypto", "Observability", "Primitives", "Support"]),
    ]
)
