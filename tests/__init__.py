"""Tests of Vitrina."""
