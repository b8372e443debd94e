# One solution of each built-in task, in their order; two empty lines stand between them.


def add_tax(price):
    return price * 1.2


def is_even(number):
    return number % 2 == 0


def first_and_last(items):
    return (items[0], items[-1])


def rectangle_area(width, height):
    return width * height


def greet(name):
    return "Hello, " + name + "!"


def largest(numbers):
    return max(numbers)


def total_length(words):
    return sum(len(word) for word in words)


def reverse_text(text):
    return text[::-1]


def double_all(numbers):
    return [number * 2 for number in numbers]


def celsius_to_fahrenheit(celsius):
    return celsius * 9 / 5 + 32


def count_vowels(text):
    return sum(letter in "aeiou" for letter in text.lower())


def only_positive(numbers):
    return [number for number in numbers if number > 0]


def mean(numbers):
    return sum(numbers) / len(numbers) if numbers else 0.0


def count_words(text):
    return len(text.split())


def digit_sum(number):
    return sum(int(digit) for digit in str(number))


def countdown(start):
    return list(range(start, 0, -1))


def reads_same_backwards(text):
    letters = text.lower().replace(" ", "")
    return letters == letters[::-1]


def factorial(n):
    result = 1
    for factor in range(2, n + 1):
        result *= factor
    return result


def unique_in_order(items):
    return list(dict.fromkeys(items))


def letter_counts(word):
    counts = {}
    for letter in word:
        counts[letter] = counts.get(letter, 0) + 1
    return counts


def is_leap_year(year):
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def second_largest(numbers):
    different = sorted(set(numbers))
    return different[-2] if len(different) > 1 else None


def capitalize_words(text):
    return " ".join(word[:1].upper() + word[1:] for word in text.split(" "))


def is_prime(number):
    if number < 2:
        return False
    divisor = 2
    while divisor * divisor <= number:
        if number % divisor == 0:
            return False
        divisor += 1
    return True


def running_total(numbers):
    sums = []
    total = 0
    for number in numbers:
        total += number
        sums.append(total)
    return sums


def clock_time(minutes):
    minutes %= 24 * 60
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def greatest_common_divisor(a, b):
    while b:
        a, b = b, a % b
    return a


def chunks(items, size):
    return [items[start:start + size] for start in range(0, len(items), size)]


def caesar(text, shift):
    result = ""
    for letter in text:
        if "a" <= letter <= "z":
            letter = chr((ord(letter) - ord("a") + shift) % 26 + ord("a"))
        elif "A" <= letter <= "Z":
            letter = chr((ord(letter) - ord("A") + shift) % 26 + ord("A"))
        result += letter
    return result


def flatten(nested):
    flat = []
    for item in nested:
        if isinstance(item, list):
            flat.extend(flatten(item))
        else:
            flat.append(item)
    return flat


def most_common_word(text):
    words = text.lower().split()
    return min(set(words), key=lambda word: (-words.count(word), word))


def merge_sorted(left, right):
    return sorted(left + right)


def binary_search(numbers, wanted):
    low, high = 0, len(numbers) - 1
    while low <= high:
        middle = (low + high) // 2
        if numbers[middle] == wanted:
            return middle
        if numbers[middle] < wanted:
            low = middle + 1
        else:
            high = middle - 1
    return -1


def to_roman(number):
    result = ""
    for value, letters in [
        (1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"), (50, "L"), (40, "XL"),
        (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I"),
    ]:
        while number >= value:
            result += letters
            number -= value
    return result


def brackets_match(text):
    pairs = {")": "(", "]": "[", "}": "{"}
    stack = []
    for letter in text:
        if letter in "([{":
            stack.append(letter)
        elif letter in pairs:
            if not stack or stack.pop() != pairs[letter]:
                return False
    return not stack


def transpose(rows):
    return [list(column) for column in zip(*rows)]


def compress(text):
    result = ""
    index = 0
    while index < len(text):
        end = index
        while end < len(text) and text[end] == text[index]:
            end += 1
        result += text[index] + (str(end - index) if end - index > 1 else "")
        index = end
    return result


def group_by_length(words):
    groups = {}
    for word in sorted(words):
        groups.setdefault(len(word), []).append(word)
    return groups


def parse_settings(text):
    settings = {}
    for line in text.split("\n"):
        line = line.strip()
        if line and not line.startswith("#"):
            key, _, value = line.partition("=")
            settings[key.strip()] = value.strip()
    return settings


DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
def next_weekday(day, days_later):
    return DAYS[(DAYS.index(day) + days_later) % 7]


import math
def distance(a, b):
    return math.hypot(a[0] - b[0], a[1] - b[1])


def overlapping_days(first, second):
    return max(0, min(first[1], second[1]) - max(first[0], second[0]) + 1)


def spiral(size):
    table = [[0] * size for _ in range(size)]
    row, column, down, right = 0, 0, 0, 1
    for number in range(1, size * size + 1):
        table[row][column] = number
        if table[(row + down) % size][(column + right) % size]:
            down, right = right, -down
        row, column = row + down, column + right
    return table


def longest_run(numbers):
    longest = run = 0
    for index, number in enumerate(numbers):
        run = run + 1 if index > 0 and number > numbers[index - 1] else 1
        longest = max(longest, run)
    return longest


def make_change(amount, coins):
    fewest = [0] + [None] * amount
    for value in range(1, amount + 1):
        ways = [fewest[value - coin] for coin in coins if coin <= value and fewest[value - coin] is not None]
        fewest[value] = min(ways) + 1 if ways else None
    return -1 if fewest[amount] is None else fewest[amount]


def reachable(roads, start):
    seen = {start}
    waiting = [start]
    while waiting:
        for town in roads.get(waiting.pop(), []):
            if town not in seen:
                seen.add(town)
                waiting.append(town)
    return sorted(seen)


def count_islands(rows):
    land = {(y, x) for y, row in enumerate(rows) for x, letter in enumerate(row) if letter == "#"}
    islands = 0
    while land:
        islands += 1
        waiting = [land.pop()]
        while waiting:
            y, x = waiting.pop()
            for place in [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]:
                if place in land:
                    land.remove(place)
                    waiting.append(place)
    return islands


def evaluate(expression):
    stack = []
    for word in expression.split():
        if word in ("+", "-", "*"):
            right = stack.pop()
            left = stack.pop()
            stack.append(left + right if word == "+" else left - right if word == "-" else left * right)
        else:
            stack.append(int(word))
    return stack[0]


def justify(words, width):
    lines = []
    for word in words:
        if lines and len(lines[-1]) + 1 + len(word) <= width:
            lines[-1] += " " + word
        else:
            lines.append(word)
    return lines


def rank(scores):
    return [1 + sum(other > score for other in scores) for score in scores]


def longest_common_prefix(words):
    if not words:
        return ""
    low, high = min(words), max(words)
    count = 0
    while count < min(len(low), len(high)) and low[count] == high[count]:
        count += 1
    return low[:count]


def edit_distance(source, target):
    above = list(range(len(target) + 1))
    for y, left in enumerate(source, 1):
        row = [y]
        for x, right in enumerate(target, 1):
            row.append(min(above[x] + 1, row[x - 1] + 1, above[x - 1] + (left != right)))
        above = row
    return above[-1]


def split_bill(total_cents, people):
    share, rest = divmod(total_cents, people)
    return [share + 1] * rest + [share] * (people - rest)


def schedule(tasks):
    order = []
    while len(order) < len(tasks):
        ready = [task for task in tasks if task not in order and all(other in order for other in tasks[task])]
        if not ready:
            return None
        order.append(min(ready))
    return order
