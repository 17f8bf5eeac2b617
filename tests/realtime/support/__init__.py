"""What the tests of the application share: media, cameras, scenes, stand-ins. No test is here."""
