// swift-tools-version: 5.9
// What the app computes, without Apple's frameworks: its tests run on Linux too.

import PackageDescription

let package = Package(
    name: "KbertLogic",
    platforms: [.iOS(.v15), .macOS(.v12)],
    products: [.library(name: "KbertLogic", targets: ["KbertLogic"])],
    targets: [
        .target(name: "KbertLogic"),
        // The program that answers the cases of tests/apps/test_ios.py.
        .executableTarget(name: "CheckKbertLogic", dependencies: ["KbertLogic"]),
        .testTarget(name: "KbertLogicTests", dependencies: ["KbertLogic"]),
    ]
)
