// What the app computes, without Android: its tests run on any JVM.
plugins {
    id("org.jetbrains.kotlin.jvm")
}

kotlin {
    jvmToolchain(17)
    sourceSets.test {
        // The program that answers the cases of tests/apps/test_android.py.
        kotlin.srcDir("src/check/kotlin")
    }
}

dependencies {
    // Android has these classes.
    compileOnly("org.json:json:20240303")
    testImplementation("org.json:json:20240303")
    testImplementation("junit:junit:4.13.2")
}
