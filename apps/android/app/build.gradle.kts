plugins {
    id("com.android.application")
    id("org.jetbrains.kotlin.android")
}

android {
    namespace = "com.example.kbert"
    compileSdk = 36

    defaultConfig {
        applicationId = "com.example.kbert"
        minSdk = 24
        targetSdk = 36
        versionCode = 1
        versionName = "1.0"
        // Phones have the first one; emulators have the second one.
        ndk { abiFilters += listOf("arm64-v8a", "x86_64") }
    }

    buildTypes {
        release {
            isMinifyEnabled = false
        }
    }

    // Models are mapped into memory, which compressed assets do not allow.
    androidResources { noCompress += "tflite" }
}

kotlin { jvmToolchain(17) }

dependencies {
    implementation(project(":logic"))
    implementation("com.google.mediapipe:tasks-text:1.0.0")
    implementation("com.google.ai.edge.litert:litert:2.3.0")
}
