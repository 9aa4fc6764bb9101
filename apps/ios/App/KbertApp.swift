import SwiftUI

@main
struct KbertApp: App {
    var body: some Scene {
        WindowGroup {
            NavigationView {
                List {
                    NavigationLink("Text classifier (MediaPipe)") { ClassifierView() }
                    NavigationLink("Text in, answers out (LiteRT)") { CodePointsView() }
                }
                .navigationTitle("kbert")
            }
            .navigationViewStyle(.stack)
        }
    }
}
