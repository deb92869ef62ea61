// swift-tools-version: 6.2
// Every target and what it may import, in dependency order. The same table stands in
// ARCHITECTURE.md; TidyTests compares both with the `import` lines of the sources.
import PackageDescription

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]
let memorySafe: [SwiftSetting] = strict + [.strictMemorySafety()]

/// For what makes load, which shares the machine with the debug builds that it tests.
let optimised: [SwiftSetting] = [.unsafeFlags(["-O"])]

let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")
let cryptoExtras: Target.Dependency = .product(name: "CryptoExtras", package: "swift-crypto")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let nioCore: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let nioPosix: Target.Dependency = .product(name: "NIOPosix", package: "swift-nio")
let nioEmbedded: Target.Dependency = .product(name: "NIOEmbedded", package: "swift-nio")
let nioHTTP1: Target.Dependency = .product(name: "NIOHTTP1", package: "swift-nio")
let nioSSL: Target.Dependency = .product(name: "NIOSSL", package: "swift-nio-ssl")
let httpTypes: Target.Dependency = .product(name: "HTTPTypes", package: "swift-http-types")
let deque: Target.Dependency = .product(name: "DequeModule", package: "swift-collections")
let lifecycle: Target.Dependency = .product(
    name: "ServiceLifecycle",
    package: "swift-service-lifecycle"
)

let package = Package(
    name: "watchword",
    products: [.executable(name: "watchword", targets: ["Watchword"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-configuration", from: "1.4.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(
            url: "https://github.com/hummingbird-project/hummingbird",
            from: "2.28.1",
            traits: []
        ),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        .systemLibrary(
            name: "CPostgres",
            pkgConfig: "libpq",
            providers: [.apt(["libpq-dev"])]
        ),
        .systemLibrary(name: "CRedis", providers: [.apt(["libhiredis-dev"])]),
        .systemLibrary(name: "CSodium", providers: [.apt(["libsodium-dev"])]),
        .systemLibrary(name: "CJansson", providers: [.apt(["libjansson-dev"])]),
        .systemLibrary(
            name: "CUnicode",
            providers: [.apt(["libutf8proc-dev", "libidn2-dev"])]
        ),
        .systemLibrary(name: "CPasswordStrength", providers: [.apt(["libzxcvbn-dev"])]),
        .target(name: "CLinux"),
        .target(name: "Primitives", swiftSettings: strict),
        .target(
            name: "Postgres",
            dependencies: [
                "CPostgres", "CLinux", "Primitives", deque, logging, nioCore, nioPosix, lifecycle,
                crypto,
            ],
            swiftSettings: memorySafe
        ),
        .target(
            name: "Redis",
            dependencies: [
                "CRedis", "Primitives", deque, logging, nioCore, nioPosix, nioSSL, lifecycle,
                crypto,
            ],
            swiftSettings: memorySafe
        ),
        .target(name: "Audit", dependencies: ["Primitives", "Postgres"], swiftSettings: strict),
        .target(
            name: "Revocation",
            dependencies: [
                "Primitives", "Postgres", "Redis", "Audit", logging, nioPosix, lifecycle,
            ],
            swiftSettings: strict
        ),
        .target(
            name: "Messaging",
            dependencies: ["Primitives", "Postgres"],
            swiftSettings: strict
        ),
        .target(
            name: "Tokens",
            dependencies: [
                "Primitives", "Postgres", "Audit", "Revocation", crypto, logging, lifecycle,
            ],
            swiftSettings: strict
        ),
        .target(
            name: "Access",
            dependencies: [
                "Primitives", "Postgres", "Redis", "Audit", "Messaging", "Revocation", crypto,
                logging, lifecycle, deque,
            ],
            swiftSettings: strict
        ),
        .target(
            name: "Accounts",
            dependencies: [
                "CLinux", "CSodium", "CUnicode", "CPasswordStrength", "Primitives", "Postgres",
                "Redis", "Audit", "Messaging", "Revocation", "Access", nioCore, nioPosix, logging,
            ],
            swiftSettings: memorySafe
        ),
        .target(
            name: "Sessions",
            dependencies: [
                "Primitives", "Postgres", "Redis", "Audit", "Messaging", "Revocation", "Tokens",
                "Access", "Accounts", crypto, logging, lifecycle,
            ],
            swiftSettings: strict
        ),
        .target(
            name: "Web",
            dependencies: [
                "CJansson", "Primitives", "Audit", "Revocation", "Tokens", "Access", "Accounts",
                "Sessions", crypto, httpTypes, logging, nioCore, nioPosix, nioHTTP1, nioSSL, deque,
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "HummingbirdTLS", package: "hummingbird"), lifecycle,
            ],
            swiftSettings: strict
        ),
        .executableTarget(
            name: "Watchword",
            dependencies: [
                "CLinux", "Primitives", "Postgres", "Redis", "Audit", "Messaging", "Revocation",
                "Tokens", "Access", "Accounts", "Sessions", "Web", crypto, logging, nioCore,
                nioPosix, nioSSL, lifecycle,
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Configuration", package: "swift-configuration"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ],
            swiftSettings: strict
        ),
        .executableTarget(
            name: "Bench",
            dependencies: [
                "CLinux", "CSodium", "Primitives", "Postgres", "Redis", "Sessions", logging,
                nioCore,
                nioPosix, nioHTTP1,
            ],
            path: "bench/Driver",
            swiftSettings: strict
        ),
        .target(
            name: "TestKit",
            dependencies: ["CLinux", "Primitives", "Postgres", logging, nioPosix],
            path: "Tests/TestKit",
            swiftSettings: strict
        ),
        .target(
            name: "ClusterKit",
            dependencies: [
                "Watchword", "TestKit", "Primitives", "Postgres", "Redis", "Access", "Accounts",
                "Sessions", "Tokens", "Revocation", "Web", logging, nioCore, nioPosix,
            ],
            path: "Tests/ClusterKit",
            swiftSettings: strict
        ),
        .target(
            name: "ChaosKit",
            dependencies: ["TestKit"],
            path: "Tests/ChaosKit",
            swiftSettings: strict + optimised
        ),
        .executableTarget(
            name: "Chaos",
            dependencies: ["ChaosKit", "TestKit", "Primitives"],
            path: "Tests/Chaos",
            swiftSettings: strict + optimised
        ),
        .testTarget(
            name: "ChaosTests",
            dependencies: ["ChaosKit", "TestKit", "Primitives"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "RevocationTests",
            dependencies: [
                "ChaosKit", "ClusterKit", "TestKit", "Primitives", "Postgres", "Revocation",
                "Sessions", "Access", "Accounts", "Web", logging,
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "TokensTests",
            dependencies: [
                "ClusterKit", "TestKit", "Primitives", "Postgres", "Revocation", "Tokens",
                "Sessions", crypto, logging,
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "AccountsTests",
            dependencies: [
                "CLinux", "ClusterKit", "TestKit", "Primitives", "Postgres", "Access", "Accounts",
                "Sessions", "Tokens", "Web", logging,
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "SessionsTests",
            dependencies: [
                "Audit", "CLinux", "ClusterKit", "TestKit", "Primitives", "Postgres", "Access",
                "Accounts",
                "Revocation", "Sessions", "Tokens", "Web", logging,
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "RedisTests",
            dependencies: [
                "Redis", "TestKit", "Primitives", logging, nioCore, nioPosix, nioSSL,
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "AccessTests",
            dependencies: [
                "Access", "Redis", "TestKit", "Primitives", logging, nioCore, nioPosix,
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "PostgresTests",
            dependencies: [
                "Primitives", "Postgres", "TestKit", logging, nioCore, nioPosix, lifecycle,
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "PrimitivesTests",
            dependencies: ["Primitives"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "WebTests",
            dependencies: [
                "Web", "Access", "Primitives", "Postgres", "Revocation", "Tokens", "Sessions",
                "ClusterKit", "ChaosKit", "TestKit",
                httpTypes, logging, nioCore, nioPosix, nioHTTP1, nioEmbedded, nioSSL, lifecycle,
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "ClusterTests",
            dependencies: ["Watchword", "Web", "Tokens", "Primitives", "TestKit", httpTypes],
            swiftSettings: strict
        ),
        .testTarget(
            name: "WatchwordTests",
            dependencies: ["Watchword", "CLinux", "Primitives", logging],
            swiftSettings: strict
        ),
        .testTarget(
            name: "TidyTests",
            dependencies: ["TestKit", "Primitives", crypto],
            swiftSettings: strict
        ),
        .testTarget(
            name: "GeneratedFileTests",
            dependencies: [
                "Watchword", "Web", "Postgres", "TestKit", "Primitives", crypto,
            ],
            swiftSettings: strict
        ),
    ]
)
