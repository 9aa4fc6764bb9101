package com.example.kbert

import android.app.Activity
import android.content.Intent
import android.os.Bundle
import android.view.View

/** The choice between the two screens. */
class MainActivity : Activity() {
    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        setContentView(R.layout.main)
        findViewById<View>(R.id.classifier).setOnClickListener {
            startActivity(Intent(this, ClassifierActivity::class.java))
        }
        findViewById<View>(R.id.code_points).setOnClickListener {
            startActivity(Intent(this, CodePointsActivity::class.java))
        }
    }
}
