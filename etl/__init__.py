"""Evidence of LLM agents in; clean RAG, SFT and preference datasets, and their receipts, out."""

__version__ = "0.1.0"
